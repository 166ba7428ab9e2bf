//! `backlot demo`: the main job on embedded defaults, end to end.
//!
//! Starts two servers of its own, fills one with a clinic and its shop, clones it into the
//! other, shows some rows, and proves what it claims.

mod proof;
mod stage;

use super::clone::{Selection, decide, preview_table, print_brief, supervised};
use super::failure::Failure;
use super::{Global, environment, output};
use crate::clone::{Options, RANGE_BYTES};
use crate::random::random_bytes;
use crate::source::Keeper;
use crate::transform::key::RootKey;
use clap::Args;
use proof::Proof;
use secrecy::SecretString;
use serde_json::json;
use stage::Stage;

#[derive(Args)]
pub(super) struct DemoArgs {
    /// Leave both servers running and print their URLs
    #[arg(long)]
    keep: bool,
    /// With --keep: write the URLs, and the command that stops the servers, as shell variables
    #[arg(long, value_name = "FILE", requires = "keep")]
    env_file: Option<std::path::PathBuf>,
}

/// Columns of the sample that are shown before and after.
const SHOWN: &[(&str, &str)] = &[
    ("clinic.patients", "first_name"),
    ("clinic.patients", "email"),
    ("clinic.patients", "mrn"),
    ("clinic.patients", "ssn"),
    ("clinic.patients", "phone"),
    ("clinic.patients", "birth_date"),
    ("clinic.patients", "contacts"),
    ("clinic.notes", "body"),
    ("clinic.devices", "last_ip"),
    ("shop.accounts", "email"),
];
const SHOWN_ROWS: u32 = 2;

pub(super) async fn run(args: DemoArgs, global: &Global) -> Result<(), Failure> {
    let talk = |text: &str| {
        if !global.json && !global.quiet {
            output::say(text);
        }
    };
    talk("starting two PostgreSQL servers of our own");
    let stage = Stage::build(talk).await?;
    let key = RootKey::new(random_key()?);
    let selection = Selection::detected(DEMO_SAMPLE_ROWS);
    let options = options(&stage)?;
    talk("cloning the clinic, anonymized");
    let summary = supervised(&options, &selection, &key, global).await?;
    let (columns, jobs) = stage.look(&selection, &key, SHOWN_ROWS).await?;
    let shown = SHOWN.iter().filter_map(|(table, column)| {
        columns.iter().find(|shown| shown.table == *table && shown.column == *column).cloned()
    });
    let shown = shown.collect::<Vec<_>>();
    let proof = Proof::run(&stage.source, &stage.target, &jobs).await?;
    if global.json {
        output::json(&json!({
            "event": "demo", "rows": summary.rows, "values_changed": summary.values_changed,
            "seconds": summary.seconds, "proof": proof, "sample": shown,
            "source_url": args.keep.then(|| stage.source.to_string()),
            "target_url": args.keep.then(|| stage.target.to_string()),
        }))?;
    } else {
        output::line(&format!("\n{}\n", preview_table(&shown)))?;
        print_brief(&summary)?;
        output::line(&proof.to_string())?;
    }
    proof.check()?;
    if args.keep {
        leave(stage, args.env_file.as_deref(), global)?;
    }
    Ok(())
}

/// Hands the servers over to the user.
fn leave(stage: Stage, env_file: Option<&std::path::Path>, global: &Global) -> Result<(), Failure> {
    let (source, target, stop) = stage.keep();
    if let Some(path) = env_file {
        let line = |name: &str, value: &str| format!("export {name}={}\n", shell_quoted(value));
        let text = line("BACKLOT_SOURCE_URL", &source)
            + &line("BACKLOT_TARGET_URL", &target)
            + &line("BACKLOT_DEMO_STOP", &stop);
        std::fs::write(path, text)
            .map_err(|error| Failure::usage(format!("write {}: {error}", path.display())))?;
    }
    if global.json {
        return Ok(());
    }
    output::line(&format!("\nsource: {source}\nclone:  {target}"))?;
    output::line(&format!("look around with: psql '{target}'"))?;
    output::line(&format!("both stop and go with: {stop}"))
}

fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Enough for every class of the sample.
const DEMO_SAMPLE_ROWS: u32 = 200;

fn options(stage: &Stage) -> Result<Options, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::internal(format!("find this program: {error}")))?;
    Ok(Options {
        source: stage.source.clone(),
        source_url: SecretString::from(stage.source.to_string()),
        target: stage.target.clone(),
        tools: environment::tools(stage.major)?,
        config_hash: "demo".into(),
        keeper: Keeper::Process { program, hold_s: 60 },
        follow: None,
        jobs: super::clone::default_jobs(),
        replace: false,
        restart: false,
        with_owner: false,
        format: None,
        range_bytes: RANGE_BYTES,
    })
}

fn random_key() -> Result<[u8; 32], Failure> {
    random_bytes().map_err(|error| Failure::internal(format!("make a key: {error}")))
}
