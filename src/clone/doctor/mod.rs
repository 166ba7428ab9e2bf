//! What stands in the way of a clone and of a stream, each finding with the statement that mends
//! it. Everything is asked of the servers by a role's own eyes and hands; nothing is changed.

mod source;
mod target;

use super::error::{CloneError, Side};
use super::run::connect;
use crate::catalog::{Catalog, TableId};
use crate::pg::{ConnInfo, Error};
use crate::transform::spec::Placed;
use serde::{Serialize, Serializer};
use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingSeverity {
    /// A stream cannot begin.
    Error,
    /// It can, and something will be missing or in danger.
    Warning,
    /// Looked at and good.
    Good,
}

#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// Stable, for scripts.
    pub id: &'static str,
    #[serde(serialize_with = "side")]
    pub side: Side,
    pub severity: FindingSeverity,
    pub what: String,
    /// The exact statement or command.
    pub fix: Option<String>,
    /// True if a right is missing.
    pub is_privilege: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn side<S: Serializer>(side: &Side, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(side)
}

/// What is examined.
pub struct DoctorOptions {
    pub source: Option<ConnInfo>,
    pub target: Option<ConnInfo>,
    /// Named in the configuration; empty: the role will make its own.
    pub publications: Vec<Placed<String>>,
}

/// Findings as they are made.
struct Findings {
    side: Side,
    all: Vec<Finding>,
}

impl Findings {
    fn good(&mut self, id: &'static str, what: impl Into<String>) {
        self.add(id, FindingSeverity::Good, what.into(), None, false);
    }

    fn warning(&mut self, id: &'static str, what: impl Into<String>, fix: impl Into<String>) {
        self.add(id, FindingSeverity::Warning, what.into(), Some(fix.into()), false);
    }

    fn error(&mut self, id: &'static str, what: impl Into<String>, fix: impl Into<String>) {
        self.add(id, FindingSeverity::Error, what.into(), Some(fix.into()), false);
    }

    fn privilege(&mut self, id: &'static str, what: impl Into<String>, fix: impl Into<String>) {
        self.add(id, FindingSeverity::Error, what.into(), Some(fix.into()), true);
    }

    fn add(
        &mut self,
        id: &'static str,
        severity: FindingSeverity,
        what: String,
        fix: Option<String>,
        is_privilege: bool,
    ) {
        self.all.push(Finding { id, side: self.side, severity, what, fix, is_privilege });
    }

    /// A server that does not let us in.
    fn unreachable(&mut self, info: &ConnInfo, error: &Error) {
        let is_privilege = error.is_authentication();
        let fix = if is_privilege {
            "check the user, its password and pg_hba.conf".to_owned()
        } else {
            "is it running, and are host and port right?".to_owned()
        };
        let what = format!("cannot connect to {info}: {error}");
        self.add("connect", FindingSeverity::Error, what, Some(fix), is_privilege);
    }
}

/// Examines what is given. `selected` tells which tables would be copied.
pub async fn examine(
    options: &DoctorOptions,
    selected: impl Fn(&Catalog) -> BTreeSet<TableId>,
) -> Result<Vec<Finding>, CloneError> {
    let mut source_findings = Findings { side: Side::Source, all: Vec::new() };
    let mut target_findings = Findings { side: Side::Target, all: Vec::new() };
    let source = open(options.source.as_ref(), Side::Source, &mut source_findings).await?;
    let target = open(options.target.as_ref(), Side::Target, &mut target_findings).await?;
    if let (Some(session), Some(info)) = (&source, &options.source) {
        source::examine(session, info, options, &selected, &mut source_findings).await?;
    }
    if let Some(session) = &target {
        let source = source.as_ref().zip(options.source.as_ref());
        target::examine(session, source, &mut target_findings).await?;
    }
    let mut findings = source_findings.all;
    findings.append(&mut target_findings.all);
    Ok(findings)
}

async fn open(
    info: Option<&ConnInfo>,
    side: Side,
    findings: &mut Findings,
) -> Result<Option<crate::pg::Session>, CloneError> {
    let Some(info) = info else { return Ok(None) };
    match connect(info, side).await {
        Ok(session) => Ok(Some(session)),
        Err(CloneError::Connect { source, .. }) => {
            findings.unreachable(info, &source);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
