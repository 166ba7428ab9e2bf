//! Failures of a running stream.

use super::{Code, Failure, code_of, hint_of, range_code};
use crate::pg::Literal;
use crate::sink::apply::ApplyError;
use crate::stream::StreamError;
use std::error::Error as _;

const AGAIN: &str = "run the same command again: it goes on from the checkpoint";
const REBUILD: &str = "build the target anew: backlot clone start --follow --replace";

impl From<StreamError> for Failure {
    fn from(error: StreamError) -> Self {
        let (code, hint) = code(&error);
        let mut failure = if let StreamError::Config(diagnostics) = &error {
            Self::config(diagnostics)
        } else {
            Self::new(code, error.to_string())
        };
        if let Some(source) = error.source() {
            failure = failure.caused_by(source);
        } else if let StreamError::Apply(ApplyError::Connection { source, .. }) = &error {
            failure = failure.caused_by(source);
        }
        failure.hint = hint;
        failure.retryable = matches!(code, Code::Unreachable | Code::Conflict);
        failure
    }
}

fn code(error: &StreamError) -> (Code, Option<String>) {
    let say = |hint: &str| Some(hint.to_owned());
    match error {
        StreamError::Server { side, source, .. } => {
            (code_of(source), hint_of(source, &side.to_string()))
        }
        StreamError::NotFollowed => (
            Code::NotFound,
            say("`backlot clone start --follow` makes a target that follows its source"),
        ),
        StreamError::TargetBusy => (Code::Conflict, say("wait for it, or stop it")),
        StreamError::OtherRun { .. } => (
            Code::Refused,
            Some(format!("run it with the one that the clone was made with, or {REBUILD}")),
        ),
        StreamError::Slot { remedy, .. } => (Code::Refused, Some(remedy.clone())),
        StreamError::SlotBusy { .. } => (
            Code::Conflict,
            say(
                "is another stream running? if not, end that process: select pg_terminate_backend(pid)",
            ),
        ),
        StreamError::GivenUp { is_dropped: true, .. } => (Code::Refused, say(REBUILD)),
        StreamError::GivenUp { slot_name, is_dropped: false, .. } => (
            Code::Refused,
            Some(format!(
                "drop the slot on the source, or it goes on keeping WAL: \
                 select pg_drop_replication_slot({}); then {REBUILD}",
                Literal(slot_name)
            )),
        ),
        StreamError::Config(_) => (Code::Usage, None),
        StreamError::Identity { .. } => (
            Code::Usage,
            say("choose another rule for the column: old keys must be masked as rows are"),
        ),
        StreamError::Apply(error) => apply_code(error),
        StreamError::Mask { relation, .. } => (
            Code::Refused,
            Some(format!(
                "mend the value on the source or choose another rule; with --on-error quarantine the stream \
                 goes on without {relation}"
            )),
        ),
        StreamError::Protocol(_) | StreamError::Panicked => {
            (Code::Internal, say("this is a bug in backlot: please report it"))
        }
        StreamError::Spill(_) | StreamError::Thread(_) => (
            Code::Internal,
            say("make room where temporary files go (TMPDIR), then run the same command again"),
        ),
        StreamError::Copy(error) => range_code(error),
        StreamError::Ended => (Code::Conflict, say(AGAIN)),
        StreamError::Resync(_) | StreamError::Reshaped(_) | StreamError::Overtaken(_) => {
            (Code::Conflict, say("try `backlot clone resync` again"))
        }
    }
}

fn apply_code(error: &ApplyError) -> (Code, Option<String>) {
    match error {
        ApplyError::Connection { source, .. } => (code_of(source), hint_of(source, "target")),
        ApplyError::Poison { .. }
        | ApplyError::Restart { .. }
        | ApplyError::NoPartition { .. } => (
            Code::Refused,
            Some(
                "make the target fit and run the same command again, or use --on-error quarantine: it puts such \
                 transactions aside and goes on"
                    .into(),
            ),
        ),
        ApplyError::Checkpoint { .. } => {
            (Code::Conflict, Some("did another stream run on this target? ".to_owned() + AGAIN))
        }
        ApplyError::Locked { .. } => (Code::Conflict, Some(AGAIN.to_owned())),
        ApplyError::NotQuarantined(_) => {
            (Code::NotFound, Some("`backlot clone status` lists what is quarantined".into()))
        }
        ApplyError::Quarantine(_) => {
            (Code::Internal, Some("use the version of backlot that quarantined it".into()))
        }
        ApplyError::OtherRules { .. } => (Code::Refused, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_that_could_not_be_dropped_comes_with_the_statement_that_drops_it() {
        let failure = |is_dropped| {
            let slot_name = "backlot_1".to_owned();
            let (retained_bytes, limit_bytes) = (2, 1);
            let given_up =
                StreamError::GivenUp { slot_name, retained_bytes, limit_bytes, is_dropped };
            (given_up.to_string(), Failure::from(given_up).hint.unwrap())
        };
        let (error, hint) = failure(false);
        assert!(error.contains("backlot_1") && error.contains("could not be dropped"), "{error}");
        assert!(hint.contains("select pg_drop_replication_slot('backlot_1')"), "{hint}");
        let (error, hint) = failure(true);
        assert!(!error.contains("could not be dropped") && !hint.contains("pg_drop"), "{hint}");
    }
}
