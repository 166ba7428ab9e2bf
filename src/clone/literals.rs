//! Text that stands in the schema itself: enum labels, defaults, CHECKs, comments, view bodies.
//!
//! `pg_dump` carries it to the target as it is, and nothing can mask it without changing the
//! schema. So it is listed, object by object, and what looks like personal data is flagged.
//! The text itself is never shown.

use super::error::CloneError;
use crate::pg::Session;
use crate::pii;
use serde::Serialize;

const LITERALS: &str = include_str!("sql/literals.sql");

/// An object of the schema that holds literal text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct SchemaLiteral {
    pub kind: String,
    pub object: String,
    /// The class of personal data that the text looks like.
    pub looks_like: Option<String>,
}

/// All of them, by kind and object, each object once.
pub(super) async fn find(source: &Session) -> Result<Vec<SchemaLiteral>, CloneError> {
    let rows = source
        .query(LITERALS, &[])
        .await
        .map_err(|error| CloneError::query("look for literals in the schema")(error.into()))?;
    let mut found = Vec::<SchemaLiteral>::new();
    for row in rows {
        let (kind, object, text): (String, String, Option<String>) =
            (row.get(0), row.get(1), row.get(2));
        let Some(text) = text else { continue };
        let is_plain = matches!(kind.as_str(), "comment" | "enum label");
        if !is_plain && !text.contains('\'') {
            continue;
        }
        let looks_like = pii::scan_literal(&text).map(|class| class.name().to_owned());
        match found.last_mut().filter(|last| last.kind == kind && last.object == object) {
            Some(last) => last.looks_like = last.looks_like.take().or(looks_like),
            None => found.push(SchemaLiteral { kind, object, looks_like }),
        }
    }
    Ok(found)
}
