//! The table of contents of a `pg_dump` archive.

use crate::pg::Oid;

/// A line of `pg_restore --list`: `dump id; catalog oid TYPE schema name owner`.
pub(super) struct Entry {
    pub(super) line: String,
    pub(super) object: (Oid, Oid),
    pub(super) kind: String,
    /// An event trigger or its comment: they come when nothing more is to be changed.
    pub(super) is_event_trigger: bool,
}

/// Longest first: a kind may be the beginning of another.
const KINDS: &[&str] = &[
    "PUBLICATION TABLES IN SCHEMA",
    "PUBLICATION TABLE",
    "CHECK CONSTRAINT",
    "FK CONSTRAINT",
    "EVENT TRIGGER",
    "USER MAPPING",
    "SUBSCRIPTION TABLE",
    "SUBSCRIPTION",
    "PUBLICATION",
    "CONSTRAINT",
    "STATISTICS",
    "INDEX ATTACH",
    "INDEX",
    "TRIGGER",
    "POLICY",
    "RULE",
    "ROW SECURITY",
    "MATERIALIZED VIEW DATA",
    "COMMENT",
];

/// Reads a line; `None` for the list's comments.
pub(super) fn entry(line: &str) -> Option<Entry> {
    let (_, rest) = line.split_once("; ").filter(|_| !line.starts_with(';'))?;
    let mut words = rest.splitn(3, ' ');
    let catalog = words.next()?.parse().ok()?;
    let object = words.next()?.parse().ok()?;
    let rest = words.next()?;
    let kind = KINDS
        .iter()
        .find(|kind| rest.strip_prefix(**kind).is_some_and(|rest| rest.starts_with(' ')));
    let kind =
        kind.copied().unwrap_or_else(|| rest.split(' ').next().unwrap_or_default()).to_owned();
    let is_event_trigger = kind == "EVENT TRIGGER" || rest.starts_with("COMMENT - EVENT TRIGGER ");
    Some(Entry {
        line: line.to_owned(),
        object: (Oid(catalog), Oid(object)),
        kind,
        is_event_trigger,
    })
}

#[cfg(test)]
mod tests {
    use super::entry;

    #[test]
    fn a_line_of_the_list_names_its_object() {
        let line = entry("3345; 2606 16390 FK CONSTRAINT public orders orders \"x y\" fkey owner")
            .unwrap();
        assert_eq!(
            (line.kind.as_str(), line.object.0.0, line.object.1.0),
            ("FK CONSTRAINT", 2606, 16390)
        );
        assert_eq!(entry("10; 1259 7 INDEX ATTACH public x o").unwrap().kind, "INDEX ATTACH");
        assert!(entry("; Archive created at 2026").is_none());
        assert!(entry("9; 3466 8 EVENT TRIGGER - watch owner").unwrap().is_event_trigger);
        let comment = entry("7; 0 0 COMMENT - EVENT TRIGGER watch owner").unwrap();
        assert!(comment.is_event_trigger && !line.is_event_trigger);
    }
}
