//! Failures of projects and branches.

use super::{Code, Failure, code_of, hint_of};
use crate::branch::{BranchError, Use};
use crate::instance::InstanceError;
use crate::project::ProjectError;
use crate::proxy::ProxyError;
use std::error::Error as _;

impl From<BranchError> for Failure {
    fn from(error: BranchError) -> Self {
        if let BranchError::Instance(error) = error {
            let gone = if let InstanceError::NotACluster { path } = &error {
                Some(path.display().to_string())
            } else {
                None
            };
            let failure = Self::from(error);
            let Some(gone) = gone else { return failure };
            return failure.hint(format!(
                "the branch's data is gone or damaged: put {gone} back from a backup, or `backlot branch delete` the branch"
            ));
        }
        if let BranchError::Project(ProjectError::Invalid(diagnostic)) = error {
            return Self::config(&[*diagnostic]);
        }
        let (code, hint) = classify(&error);
        let mut failure = Self::new(code, error.to_string());
        if let Some(source) = error.source() {
            failure = failure.caused_by(source);
        }
        failure.hint = hint;
        failure.retryable = matches!(error, BranchError::Busy { .. } | BranchError::InUse { .. });
        failure
    }
}

const TOO_LARGE: &str = "`sudo backlot branch pool create --size 50G` makes branches instant and small; \
    --allow-copy copies all the same";
const MOUNT: &str = "`sudo backlot branch pool mount` mounts it";
const MAKE_POOL: &str = "`sudo backlot branch pool create --size 50G` makes one";
const POOL_EXISTS: &str = "`backlot branch pool status` shows it";
const GOING: &str =
    "its name is free when that is done; the next command clears away what was given up";

const IN_USE: &str = "PostgreSQL copies a database only while nobody is in it, and backlot disconnects nobody: \
    end these sessions and try again, or name a parent that nobody uses (--parent-branch)";
const ELSEWHERE: &str = "put the old address back into .backlot/project.yaml: branches do not move";

fn classify(error: &BranchError) -> (Code, Option<String>) {
    let say = |hint: &str| Some(hint.to_owned());
    match error {
        BranchError::Project(error) => project_code(error),
        BranchError::Sql { source, .. } => (code_of(source), hint_of(source, "branch")),
        BranchError::None { .. } => {
            (Code::NotFound, say("`backlot branch list` shows what there is"))
        }
        BranchError::Exists { .. } => {
            (Code::Conflict, say("give it another name, or use --if-not-exists"))
        }
        BranchError::NotReady { name, state: "creating" } => {
            (Code::Conflict, Some(format!("`backlot branch wait-ready {name}` waits for it")))
        }
        BranchError::NotReady { .. } => (Code::Conflict, say(GOING)),
        BranchError::Busy { .. } => {
            (Code::Conflict, say("try again when the other command is done"))
        }
        BranchError::Protected { name } => {
            (Code::Refused, Some(format!("`backlot branch set {name} protected=false` allows it")))
        }
        BranchError::Unknown { path, .. } => (
            Code::Refused,
            Some(format!(
                "put the catalog back that knows it (a backup of catalog.json); or, if nobody needs its data, remove it: rm -r {}",
                path.display()
            )),
        ),
        BranchError::Catalog { .. } => (
            Code::Internal,
            say("put a backup of it back: without it the branches' data has no names"),
        ),
        BranchError::BadName { .. } | BranchError::BadSetting { .. } => (Code::Usage, None),
        BranchError::Backend { .. } => {
            (Code::Unreachable, say("leave out --backend: the best that works here is taken"))
        }
        BranchError::Outside { .. } => {
            (Code::Refused, say("branches of servers with tablespaces are not supported"))
        }
        BranchError::TooLarge { .. } => (Code::Refused, say(TOO_LARGE)),
        BranchError::NeedsRoot { .. } => {
            (Code::Auth, say("run it by sudo; the branches stay yours"))
        }
        BranchError::NotMounted { .. } => (Code::Unreachable, say(MOUNT)),
        BranchError::PoolExists { .. } => (Code::Conflict, say(POOL_EXISTS)),
        BranchError::NoPool => (Code::NotFound, say(MAKE_POOL)),
        BranchError::Overtaken => (Code::Conflict, say("run it again: they are where they were")),
        BranchError::NoPort { .. } => (Code::Conflict, say("delete branches that are not needed")),
        BranchError::Foreign { .. } => (Code::Refused, say("do that on the server itself")),
        BranchError::NotOurs { .. } => (
            Code::Refused,
            say("name another branch: `backlot branch list` shows them, `branch create` makes one"),
        ),
        BranchError::Elsewhere { .. } => (Code::Refused, say(ELSEWHERE)),
        BranchError::InUse { what: Use::Copy, .. } => (Code::Conflict, say(IN_USE)),
        BranchError::InUse { what: Use::Drop, .. } => {
            (Code::Conflict, say("end these sessions and try again: backlot disconnects nobody"))
        }
        BranchError::MayNot { grant, .. } => {
            (Code::Auth, Some(format!("as an administrator of the server: {grant}")))
        }
        BranchError::Tool { .. } => (Code::Unreachable, None),
        BranchError::File { .. } | BranchError::Instance(_) | BranchError::OverBudget => {
            (Code::Internal, None)
        }
    }
}

impl From<ProxyError> for Failure {
    fn from(error: ProxyError) -> Self {
        if let ProxyError::Branch(error) = error {
            return error.into();
        }
        let (code, hint) = match &error {
            ProxyError::PortTaken { branch, .. } => (
                Code::Conflict,
                Some(format!(
                    "end what has it, or give the branch another: `backlot branch set {branch} port=auto`"
                )),
            ),
            ProxyError::NotStarted { log, .. } => {
                (Code::Unreachable, Some(format!("its log is {}", log.display())))
            }
            ProxyError::NotStopped { .. } => (Code::Timeout, Some("end it by its id".to_owned())),
            ProxyError::Branch(_)
            | ProxyError::File { .. }
            | ProxyError::Client(_)
            | ProxyError::Protocol(_) => (Code::Internal, None),
        };
        let mut failure = Self::new(code, error.to_string());
        if let Some(source) = error.source() {
            failure = failure.caused_by(source);
        }
        failure.hint = hint;
        failure
    }
}

fn project_code(error: &ProjectError) -> (Code, Option<String>) {
    match error {
        ProjectError::None { .. } => (
            Code::NotFound,
            Some(
                "`backlot init` makes one here; --project or BACKLOT_PROJECT names another folder"
                    .into(),
            ),
        ),
        ProjectError::BadName { .. } => (Code::Usage, Some("give another by --name".into())),
        ProjectError::Link { .. } => (Code::Refused, Some("name the file itself".into())),
        ProjectError::Invalid(_) => (Code::Usage, None),
        ProjectError::Broken { .. } | ProjectError::File { .. } => (Code::Internal, None),
    }
}
