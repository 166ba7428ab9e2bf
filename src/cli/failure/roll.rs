//! Failures of migrations.

use super::{Code, Failure, code_of, hint_of};
use crate::ddl::ExecuteError;
use crate::pg::Error;
use crate::roll::RollError;
use serde_json::json;
use std::error::Error as _;

const GO_ON: &str =
    "`backlot roll resume` goes on where it stopped, `backlot roll rollback` takes it back";
const DEPENDED: &str =
    "drop it, or let it read the tables or the new version; then `backlot roll complete` goes on";

impl From<RollError> for Failure {
    fn from(error: RollError) -> Self {
        let (code, hint) = classify(&error);
        let mut failure = Self::new(code, error.to_string());
        if let RollError::Invalid { findings, .. } = &error {
            failure.causes = findings.iter().map(|finding| finding.message.clone()).collect();
            failure = failure.findings(findings.iter().map(|finding| json!(finding)).collect());
        }
        if let Some(source) = error.source() {
            failure = failure.caused_by(source);
        }
        failure.hint = hint;
        failure.retryable = error.is_passing();
        failure
    }
}

fn classify(error: &RollError) -> (Code, Option<String>) {
    let say = |hint: &str| Some(hint.to_owned());
    match error {
        // invalid_parameter_value: there is no such role.
        RollError::Role { source, .. } if source.sqlstate() == Some("22023") => {
            (Code::Usage, say("name a role of the server by --role"))
        }
        RollError::Connect(source) | RollError::Role { source, .. } => {
            (code_of(source), hint_of(source, "server"))
        }
        RollError::Query { source, .. } => {
            (code_of(source), hint_of(source, "server").or_else(|| say(GO_ON)))
        }
        RollError::NotInitialised { .. } => (Code::NotFound, say("`backlot roll init` makes it")),
        RollError::NoSchema { .. } => {
            (Code::NotFound, say("create it, or name another by --schema"))
        }
        RollError::Busy { .. } => (Code::Conflict, say("wait for it to end")),
        RollError::LockLost { .. } => (Code::Unreachable, say(GO_ON)),
        RollError::Active { .. } => (
            Code::Conflict,
            say(
                "`backlot roll complete` ends it, `backlot roll rollback` takes it back; `backlot roll resume` if it was interrupted",
            ),
        ),
        RollError::Foreign { .. } => (
            Code::Conflict,
            say("complete it with pgroll, or `backlot roll rollback` takes it back"),
        ),
        RollError::ForeignCompleting { .. } => {
            (Code::Refused, say("complete it or roll it back with pgroll"))
        }
        RollError::NotActive { .. } => (Code::NotFound, say("`backlot roll start` begins one")),
        RollError::Known { .. } => (Code::Conflict, say("give the file another name")),
        RollError::NeedsBaseline { .. } => (
            Code::Refused,
            say("`backlot roll baseline VERSION DIR` begins its history with what is there"),
        ),
        RollError::Changed { .. } => (
            Code::Conflict,
            say(
                "`backlot roll resume` goes on with the file as it was, `backlot roll rollback` takes it back",
            ),
        ),
        RollError::Invalid { .. } => (Code::Usage, say("nothing was changed")),
        RollError::OtherHistory { .. } => (
            Code::Conflict,
            say("`backlot roll pull` writes the migrations that the directory lacks"),
        ),
        RollError::Step(error) => execute_code(error),
        RollError::Backfill { source, .. } => (data_code(source), Some(go_on(source))),
        RollError::Unreachable { .. } => (
            Code::Refused,
            say(
                "migrate as a role with BYPASSRLS, or lift the restrictive policy or the trigger for the time",
            ),
        ),
        RollError::RolledBack { source, .. } => {
            let (code, hint) = classify(source);
            (code, hint.filter(|hint| hint != GO_ON))
        }
        RollError::Depended { .. } => (Code::Refused, say(DEPENDED)),
        RollError::Irreversible { .. } => {
            (Code::Refused, say("`backlot roll complete` brings it to its end"))
        }
        RollError::Journal { .. } => {
            (Code::Internal, say("use the backlot that started the migration"))
        }
    }
}

fn execute_code(error: &ExecuteError) -> (Code, Option<String>) {
    let hint = match error {
        ExecuteError::Connect(source) => hint_of(source, "server"),
        ExecuteError::Locked { .. } => Some(format!(
            "others hold the lock (pg_blocking_pids tells who); {GO_ON}; --lock-attempts tries more often"
        )),
        ExecuteError::TooSlow { .. } => Some(format!(
            "an old transaction may hold it up; {GO_ON}; --build-timeout waits longer"
        )),
        ExecuteError::Lost { source, .. } => Some(go_on(source)),
        ExecuteError::Refused { source, .. } => is_depended(source)
            .then(|| "drop what depends on it, and run the same command again".to_owned()),
    };
    let code = match error {
        ExecuteError::Locked { .. } | ExecuteError::TooSlow { .. } => Code::Timeout,
        ExecuteError::Connect(source) => code_of(source),
        ExecuteError::Refused { source, .. } | ExecuteError::Lost { source, .. } => {
            data_code(source)
        }
    };
    (code, hint)
}

/// What has to be mended first, and then.
fn go_on(error: &Error) -> String {
    match error.sqlstate() {
        Some("53200") => match hint_of(error, "server") {
            Some(hint) => format!("{hint}; then {GO_ON}"),
            None => GO_ON.to_owned(),
        },
        _ => GO_ON.to_owned(),
    }
}

/// `dependent_objects_still_exist`
fn is_depended(error: &Error) -> bool {
    error.sqlstate() == Some("2BP01")
}

/// Rows that do not fit the new shape are not a fault of ours.
fn data_code(error: &Error) -> Code {
    match error.sqlstate().and_then(|state| state.get(..2)) {
        Some("22" | "23") => Code::Differs,
        _ if is_depended(error) => Code::Refused,
        _ => code_of(error),
    }
}

#[cfg(test)]
mod tests {
    use super::Failure;
    use crate::ddl::ExecuteError;
    use crate::pg::{Error, ServerError};
    use crate::roll::RollError;

    #[test]
    fn who_is_out_of_locks_is_told_the_setting() {
        let source = || {
            Error::Server(Box::new(ServerError {
                sqlstate: "53200".to_owned(),
                message: "out of shared memory".to_owned(),
                schema: None,
                table: None,
                column: None,
                data_type: None,
                constraint: None,
            }))
        };
        let words = || "complete/9999/drop-version".to_owned();
        let step = ExecuteError::Lost {
            step: words(),
            statement: words(),
            attempts: 80,
            source: source(),
        };
        let backfill = RollError::Backfill { relation: "public.t".to_owned(), source: source() };
        for error in [RollError::Step(step), backfill] {
            let hint = Failure::from(error).hint.unwrap();
            assert!(hint.contains("max_locks_per_transaction"), "{hint}");
            assert!(hint.contains("backlot roll resume"), "{hint}");
        }
    }
}
