//! Failures of `--follow` and of streams.

use super::{AGAIN, Code, Failure, code_of, hint_of};
use crate::clone::{BringError, FollowError, StopError};
use crate::pg::Ident;
use crate::source::SlotError;
use crate::source::publication::PublicationError;
use std::error::Error as _;

pub(super) fn follow_code(error: &FollowError) -> (Code, Option<String>) {
    match error {
        FollowError::Subset(_) => (
            Code::Refused,
            Some(
                "leave the condition out, or clone without --follow: a change can bring rows into a \
                 subset that were never copied"
                    .into(),
            ),
        ),
        FollowError::MayNotPublish { names, statements, .. } => (
            Code::Auth,
            Some(format!(
                "let an owner run `{};` and write `publications: [{}]` into the configuration",
                statements.join("; "),
                names.join(", ")
            )),
        ),
        FollowError::TablesChanged => (Code::Conflict, Some("run the same command again".into())),
        FollowError::NotFollowable { fix, .. } => (Code::Refused, Some(fix.clone())),
        FollowError::Publication(PublicationError::Server { source, .. }) => {
            (code_of(source), hint_of(source, "source"))
        }
        FollowError::Publication(PublicationError::Locked { .. }) => {
            (Code::Conflict, Some("wait for them, or end them, and run the same command again".into()))
        }
        FollowError::Slot(error) => slot_code(error),
        FollowError::SlotLost { .. } => (
            Code::Refused,
            Some(format!(
                "raise max_slot_wal_keep_size on the source, then {AGAIN}: with a new slot, from the beginning"
            )),
        ),
    }
}

pub(super) fn slot_code(error: &SlotError) -> (Code, Option<String>) {
    match error {
        SlotError::Source { source, .. } => {
            let hint = match source.sqlstate() {
                Some("55000") => Some(
                    "alter system set wal_level = logical; and restart the source".to_owned(),
                ),
                Some("53400") => Some(
                    "alter system set max_replication_slots = …; and restart the source, or drop a slot \
                     that nobody needs"
                        .to_owned(),
                ),
                Some("42501") => {
                    Some("alter role … replication; for the role in the source's URL".to_owned())
                }
                _ => hint_of(source, "source"),
            };
            (code_of(source), hint)
        }
        SlotError::Drop { source, .. } => (code_of(source), hint_of(source, "source")),
        SlotError::Cancelled { .. } => (Code::Interrupted, Some(AGAIN.into())),
        SlotError::Blocked { .. } => (
            Code::Timeout,
            Some("end these transactions, or wait for them with a longer --slot-wait".into()),
        ),
        SlotError::Active { .. } => (
            Code::Conflict,
            Some("stop it, or give this stream a slot of its own with --slot".into()),
        ),
        SlotError::Exists { name } => (
            Code::Conflict,
            Some(format!(
                "choose another name, or drop it if nobody needs it: select pg_drop_replication_slot('{name}')"
            )),
        ),
    }
}

impl From<StopError> for Failure {
    fn from(error: StopError) -> Self {
        let (code, hint) = match error {
            StopError::Clone(error) => return error.into(),
            StopError::StillRunning(_) => (
                Code::Timeout,
                "it may be applying a large transaction: run the same command again".to_owned(),
            ),
            StopError::OtherSource { .. } => {
                (Code::Refused, "name the source that the target was cloned from".to_owned())
            }
            StopError::SourceAway { .. } => (
                Code::Unreachable,
                "run it again when the source is back; or run the statements there, and `clone stop --forget`"
                    .to_owned(),
            ),
            StopError::Slot(ref error) => {
                let (code, hint) = slot_code(error);
                (code, hint.unwrap_or_default())
            }
        };
        let mut failure = Self::new(code, error.to_string()).hint(hint);
        if let Some(source) = error.source() {
            failure = failure.caused_by(source);
        }
        failure.retryable = matches!(code, Code::Unreachable | Code::Timeout);
        failure
    }
}

pub(super) fn bring_hint(error: &BringError) -> String {
    match error {
        BringError::Closed { .. } => {
            "a new clone brings it: backlot clone start --follow --replace".to_owned()
        }
        BringError::NotFollowable { .. } => {
            "`exclude:` in transforms.yaml leaves it out".to_owned()
        }
        BringError::NotPublished { table, publications } => format!(
            "let an owner run, on the source: alter publication {} add table {}",
            Ident(publications.first().map_or("", String::as_str)),
            table.sql()
        ),
    }
}

impl Failure {
    /// Everything ended in order, and something is left to be looked at.
    pub(in crate::cli) fn left_over(quarantined: u64, stale: &[String]) -> Self {
        let mut parts = Vec::new();
        let mut hints = Vec::new();
        if quarantined > 0 {
            parts.push(format!("{quarantined} source transactions are quarantined"));
            hints.push(
                "`backlot clone status` lists them, `backlot clone retry` replays them".to_owned(),
            );
        }
        if !stale.is_empty() {
            parts.push(format!("not followed: {}", stale.join(", ")));
            hints.push(
                "`backlot clone status` says why, `backlot clone resync TABLE` copies one again"
                    .to_owned(),
            );
        }
        Self::new(Code::LeftOver, parts.join("; ")).hint(hints.join("; "))
    }
}
