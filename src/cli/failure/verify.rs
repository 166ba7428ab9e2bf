//! Failures of `clone verify`.

use super::{Code, Failure, code_of, hint_of};
use crate::source::SnapshotError;
use crate::verify::VerifyError;
use std::error::Error as _;

impl From<VerifyError> for Failure {
    fn from(error: VerifyError) -> Self {
        let (code, hint) = verify_code(&error);
        let mut failure = if let VerifyError::Config(diagnostics) = &error {
            let found = Self::config(diagnostics);
            Self { code, message: error.to_string(), ..found }
        } else {
            Self::new(code, error.to_string())
        };
        if let Some(source) = error.source() {
            failure = failure.caused_by(source);
        }
        failure.hint = hint;
        failure.retryable = matches!(code, Code::Unreachable | Code::Timeout);
        failure
    }
}

fn verify_code(error: &VerifyError) -> (Code, Option<String>) {
    let say = |hint: &str| Some(hint.to_owned());
    match error {
        VerifyError::Connect { side, source }
        | VerifyError::Read { side, source, .. }
        | VerifyError::Snapshot { side, source: SnapshotError::Source(source) } => {
            (code_of(source), hint_of(source, &side.to_string()))
        }
        VerifyError::Query { source, .. } => (code_of(source), hint_of(source, "server")),
        VerifyError::NothingToVerify => {
            (Code::NotFound, say("`backlot clone start` makes a clone; name its target"))
        }
        VerifyError::OtherOrigin { what: "key" } => {
            (Code::Refused, say("use the key that the target was made with"))
        }
        VerifyError::OtherOrigin { .. } => {
            (Code::Refused, say("name the source that the target was made from, or clone again"))
        }
        VerifyError::Config(_) | VerifyError::Subset(_) => (
            Code::Usage,
            say("the source's schema has changed since: clone again with rules that fit it"),
        ),
        VerifyError::NoSuchTable(_) => {
            (Code::NotFound, say("name tables as schema.table; * stands for any characters"))
        }
        VerifyError::NoStream => (
            Code::Conflict,
            say("start `backlot clone stream`: only it knows which position the target is at"),
        ),
        VerifyError::MarkTimeout { .. } => {
            (Code::Timeout, say("look at `backlot clone status`, and run it again"))
        }
        VerifyError::Snapshot { .. } | VerifyError::MarkFailed { .. } => {
            (Code::Internal, say("run it again"))
        }
        VerifyError::Mask { .. } => (Code::Internal, say("choose another rule for the column")),
        VerifyError::Rows { .. } | VerifyError::Panicked => {
            (Code::Internal, say("this is a bug in backlot: please report it"))
        }
        VerifyError::Random(_) => (Code::Internal, None),
    }
}
