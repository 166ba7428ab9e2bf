//! `backlot clone config`

use super::SourceArgs;
use super::planner::{Selection, outcome};
use crate::catalog;
use crate::cli::failure::Failure;
use crate::cli::{Global, environment, output};
use crate::clone::{CloneError, Side};
use crate::pg::Session;
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

#[derive(Args)]
pub(in crate::cli) struct ConfigArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// Where to write it; - for standard output
    #[arg(long, short, value_name = "FILE", default_value = "transforms.yaml")]
    output: PathBuf,
    /// Overwrite an existing file
    #[arg(long)]
    force: bool,
    /// Also make .backlot/key, unless it is there
    #[arg(long)]
    create_key: bool,
}

pub(super) async fn run(args: ConfigArgs, global: &Global) -> Result<(), Failure> {
    let to_stdout = args.output.as_os_str() == "-";
    if !to_stdout && args.output.exists() && !args.force {
        // Where the rules are there already, a key may be all that is missing.
        if args.create_key && environment::create_key()? {
            let (key, rules) = (environment::KEY_FILE, args.output.display());
            output::say(&format!("made {key}; {rules} is as it was"));
            if global.json {
                return output::json(&json!({"config": args.output, "key_created": true}));
            }
            return Ok(());
        }
        return Err(Failure::refused(format!("{} exists", args.output.display()))
            .hint("use --force to overwrite it, or --output to write another"));
    }
    let selection = Selection::read(&args.source)?;
    let (_, source) = environment::server(
        args.source.source_url.as_deref(),
        "BACKLOT_SOURCE_URL",
        "--source-url",
    )?;
    let session = Session::connect(&source, "backlot")
        .await
        .map_err(|error| CloneError::Connect { side: Side::Source, source: error })?;
    let catalog = catalog::load(&session).await?;
    let outcome = outcome(&selection, &source, None, &catalog).await?;
    let made_key = args.create_key && environment::create_key()?;
    if !to_stdout {
        std::fs::write(&args.output, &outcome.config)
            .map_err(|error| Failure::usage(format!("write {}: {error}", args.output.display())))?;
    }
    let columns = || outcome.plan.tables.iter().flat_map(|table| &table.columns);
    let masked = columns().filter(|column| !column.rule.is_keep()).count();
    let kept = columns().count() - masked;
    let sensitive = outcome.decisions.iter().filter(|(_, _, decision)| decision.sensitive).count();
    if global.json {
        return output::json(&json!({
            "config": if to_stdout { json!(outcome.config) } else { json!(args.output) },
            "tables": outcome.plan.tables.len(), "columns_masked": masked, "columns_kept": kept,
            "sensitive_kept": sensitive, "key_created": made_key,
        }));
    }
    if to_stdout {
        output::line(outcome.config.trim_end())?;
    }
    if made_key {
        output::say(&format!(
            "made {}: keep it; whoever has it can link fakes to people",
            environment::KEY_FILE
        ));
    }
    output::say(&format!(
        "{} tables: {masked} columns masked, {kept} kept, {sensitive} of them worth a look{}",
        outcome.plan.tables.len(),
        if to_stdout { String::new() } else { format!("; written to {}", args.output.display()) }
    ));
    Ok(())
}
