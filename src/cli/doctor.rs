//! `backlot doctor`

use super::clone::{Selection, SourceArgs, TargetBranch};
use super::failure::Failure;
use super::{Global, environment, output, project};
use crate::clone::{DoctorOptions, Finding, FindingSeverity, examine};
use crate::pg::ConnInfo;
use clap::Args;
use comfy_table::{Cell, Table, presets};
use secrecy::SecretString;
use serde_json::json;

#[derive(Args)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// The database that would be written (or BACKLOT_TARGET_URL)
    #[arg(long, value_name = "URL")]
    target_url: Option<String>,
    #[command(flatten)]
    target_branch: TargetBranch,
}

impl DoctorArgs {
    pub(super) fn target_branch(&self) -> Option<&str> {
        self.target_branch.name()
    }
}

pub(super) async fn run(args: DoctorArgs, global: &Global) -> Result<(), Failure> {
    let selection = Selection::read(&args.source)?;
    let source = environment::server_if_given(
        args.source.source_url.as_deref(),
        "BACKLOT_SOURCE_URL",
        "--source-url",
    )?;
    let target = target(&args, source.is_some())?;
    if source.is_none() && target.is_none() {
        return Err(Failure::usage("nothing to examine")
            .hint("give --source-url, --target-url or both, or run it in a project"));
    }
    let options = DoctorOptions {
        source: source.map(|(_, info)| info),
        target: target.map(|(_, info)| info),
        publications: selection.publications().to_vec(),
    };
    let findings = examine(&options, |catalog| selection.copied(catalog)).await?;
    if global.json {
        output::json(&json!({"findings": findings}))?;
    } else {
        print(&findings)?;
    }
    let errors = findings.iter().filter(|finding| finding.severity == FindingSeverity::Error);
    let (privileges, others): (Vec<_>, Vec<_>) = errors.partition(|finding| finding.is_privilege);
    match (privileges.len(), others.len()) {
        (0, 0) => Ok(()),
        (count, 0) => Err(Failure::privileges(format!("{count} right(s) are missing"))
            .hint("run the statements above, and doctor again")),
        (rights, others) => {
            Err(Failure::refused(format!("{} problem(s) stand in the way", rights + others))
                .hint("mend them as said above, and run doctor again"))
        }
    }
}

/// As `clone start` has it: the project's branch, unless it is protected and was not named. That one
/// is examined when there is nothing else to examine.
fn target(
    args: &DoctorArgs,
    has_source: bool,
) -> Result<Option<(SecretString, ConnInfo)>, Failure> {
    let named = environment::server_if_given(
        args.target_url.as_deref(),
        "BACKLOT_TARGET_URL",
        "--target-url",
    )?;
    if named.is_some() {
        return Ok(named);
    }
    if has_source && project::unnamed_protected()?.is_some() {
        return Ok(None);
    }
    project::server()
}

fn print(findings: &[Finding]) -> Result<(), Failure> {
    let mut shown = Table::new();
    shown.load_style(presets::NOTHING);
    let mut order = findings.iter().collect::<Vec<_>>();
    order.sort_by_key(|finding| finding.severity);
    for finding in order {
        let severity = match finding.severity {
            FindingSeverity::Error => "error",
            FindingSeverity::Warning => "warning",
            FindingSeverity::Good => "good",
        };
        let what = match &finding.fix {
            Some(fix) => format!("{}\n→ {fix}", finding.what),
            None => finding.what.clone(),
        };
        let side = finding.side.to_string();
        shown.add_row([severity, &side, finding.id, &what].map(Cell::new));
    }
    output::line(&shown.to_string())
}
