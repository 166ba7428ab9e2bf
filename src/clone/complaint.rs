//! What `pg_dump` and `pg_restore` complain about, cut down to what names objects: their output
//! quotes statements and rows.

use std::collections::BTreeSet;

/// Shown of what a tool complains about.
const MESSAGE_LIMIT: usize = 5;

/// Beginnings of messages that quote names, never values. `pg_restore` tells no SQLSTATE.
const HARMLESS_ERRORS: &[&str] = &[
    "could not create unique index",
    "could not create exclusion constraint",
    "duplicate key value violates",
    "conflicting key value violates",
    "insert or update on table",
    "check constraint",
    "new row for relation",
    "null value in column",
    "column \"",
    "relation \"",
    "type \"",
    "schema \"",
    "role \"",
    "extension \"",
    "language \"",
    "collation \"",
    "tablespace \"",
    "text search ",
    "access method \"",
    "operator class \"",
    "permission denied",
    "must be ",
    "could not open extension control file",
    "could not extend file",
    "could not write to file",
    "could not load library",
    "could not access file",
    "value too long for type",
    "numeric field overflow",
    "invalid input syntax for type",
    "division by zero",
    "out of memory",
    "no space left",
    "index row ",
    "snapshot \"",
    "deadlock detected",
    "canceling statement due to",
    "terminating connection",
    "the database system is",
];

/// Whole messages, whose quotes hold names. An application's own exception may begin like these.
const HARMLESS_MESSAGES: &[&str] = &[
    "constraint \"\" for relation \"\" already exists",
    "trigger \"\" for relation \"\" already exists",
    "rule \"\" for relation \"\" already exists",
    "policy \"\" for table \"\" already exists",
    "statistics object \"\" already exists",
    "multiple primary keys for table \"\" are not allowed",
    "cannot attach index \"\" as a partition of index \"\"",
    "tuple concurrently updated",
    "tuple concurrently deleted",
];

/// True if all of the text is the message's, but for what is quoted.
fn is_message(text: &str, message: &str) -> bool {
    text.split('"').step_by(2).eq(message.split('"').step_by(2))
}

/// A server's message up to what it quotes; what may be the text of a function's own exception
/// is not shown at all.
fn safe_error(text: &str) -> String {
    // `function f(text) does not exist` holds no value; an exception may say anything.
    let is_missing = text.starts_with("function ") && text.ends_with(" does not exist");
    let is_harmless = is_missing
        || HARMLESS_ERRORS.iter().any(|known| text.starts_with(known))
        || HARMLESS_MESSAGES.iter().any(|known| is_message(text, known));
    if !is_harmless {
        return "an error whose text may quote rows: the target's server log has it".to_owned();
    }
    // `invalid input syntax for type integer: "…"` quotes a value behind the colon.
    text.split_once(": \"").map_or(text, |(text, _)| text).to_owned()
}

/// The first line of each error, without what it quotes. DETAIL, CONTEXT and the statement are
/// on lines of their own and never looked at.
pub(super) fn messages(stderr: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let errors = stderr.lines().filter(|line| {
        line.contains("error:") || line.contains("ERROR:") || line.contains("FATAL:")
    });
    let texts = errors.map(|line| match line.rsplit_once("ERROR:") {
        Some((_, text)) => safe_error(text.trim()),
        None => line.split_once("error:").map_or(line, |(_, text)| text).trim().to_owned(),
    });
    let mut kept = texts.filter(|text| seen.insert(text.clone())).collect::<Vec<_>>();
    let more = kept.len().saturating_sub(MESSAGE_LIMIT);
    kept.truncate(MESSAGE_LIMIT);
    if more > 0 {
        kept.push(format!("and {more} more"));
    }
    if kept.is_empty() {
        kept.push("it gave no reason".into());
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::messages;

    #[test]
    fn an_error_is_shown_without_what_it_quotes() {
        let stderr = "pg_restore: error: could not execute query: ERROR:  could not create unique index \"u\"\n\
                      DETAIL:  Key (email)=(canary@x) is duplicated.\n\
                      Command was: CREATE UNIQUE INDEX u ON t (email) WHERE email <> 'canary';\n\
                      pg_restore: error: could not execute query: ERROR:  invalid input syntax for type integer: \"canary\"\n";
        let shown = messages(stderr);
        let raised = "pg_restore: error: could not execute query: ERROR:  refused canary\n";
        assert!(!messages(raised).concat().contains("canary"));
        assert_eq!(
            shown,
            ["could not create unique index \"u\"", "invalid input syntax for type integer"]
        );
    }

    #[test]
    fn what_is_there_already_is_named_and_an_exception_that_begins_like_it_is_not() {
        let of = |text: &str| messages(&format!("pg_restore: error: … ERROR:  {text}\n")).concat();
        for text in [
            "multiple primary keys for table \"t\" are not allowed",
            "constraint \"c\" for relation \"t\" already exists",
            "tuple concurrently updated",
        ] {
            assert_eq!(of(text), text);
        }
        for text in [
            "constraint \"one mail\": canary already exists",
            "rule \"one mail\" for relation \"t\" already exists for canary",
            "tuple concurrently updated by canary",
            "policy \"a\" for canary \"t\" already exists",
        ] {
            assert!(!of(text).contains("canary"), "{text}");
        }
    }
}
