//! What ALTER TABLE … ADD COLUMN does not say of a new column: the default for later rows, storage, statistics,
//! comment, grants; on the table, and on partitions that have them otherwise.

use crate::catalog::RelationName;
use crate::catalog::detail::{Column, Grant};
use crate::migrate::model::NewColumn;
use crate::migrate::plan::expand::{Work, if_it_fits};
use crate::migrate::plan::partitions;
use crate::migrate::plan::views::grant;
use crate::pg::{Ident, Literal};

/// Everything of one column.
pub(super) fn of_column(work: &Work<'_>, column: &NewColumn) -> Vec<String> {
    let relation = work.relation().sql();
    let name = Ident(&column.physical);
    let mut statements = Vec::new();
    let mut parts = Vec::new();
    if let Some(default) = &column.default {
        let part = format!("ALTER COLUMN {name} SET DEFAULT {default}");
        if column.has_new_type && column.has_old_default {
            statements.push(if_it_fits(&format!("ALTER TABLE {relation} {part}")));
        } else {
            parts.push(part);
        }
    }
    let source = column.replaces.as_ref().and_then(|old| work.table.detail.column(old));
    if let Some(source) = source {
        parts.extend(settings(column, source, None));
    }
    if !parts.is_empty() {
        statements.push(format!("ALTER TABLE {relation} {}", parts.join(", ")));
    }
    if let Some(comment) = &column.comment {
        statements.push(format!("COMMENT ON COLUMN {relation}.{name} IS {}", Literal(comment)));
    }
    let grants: &[Grant] = source.map_or(&[], |source| &source.grants);
    let on = format!("TABLE {relation}");
    statements.extend(grants.iter().map(|one| grant(one, Some(&column.physical), &on)));
    if let Some(source) = source {
        statements.extend(of_partitions(work, column, source));
    }
    if let Some(sequence) = &column.sequence {
        statements
            .push(format!("ALTER SEQUENCE {} OWNED BY {relation}.{name}", work.sql(sequence)));
        // Who may insert may draw.
        let on = format!("SEQUENCE {}", work.sql(sequence));
        let grants = &work.table.detail.grants;
        statements.extend(grants.iter().filter(|one| one.privilege == "INSERT").map(|one| {
            let usage = Grant { privilege: "USAGE".to_owned(), ..one.clone() };
            grant(&usage, None, &on)
        }));
    }
    statements
}

/// As the replaced column has them; of a partition only what is not as the parent's, which ALTER TABLE brings to it.
fn settings(column: &NewColumn, source: &Column, parent: Option<&Column>) -> Vec<String> {
    let name = Ident(&column.physical);
    let is_other =
        |of: fn(&Column, &Column) -> bool| parent.is_none_or(|parent| of(source, parent));
    let mut parts = Vec::new();
    let storage = match source.storage.as_deref() {
        Some("p") => Some("PLAIN"),
        Some("e") => Some("EXTERNAL"),
        Some("m") => Some("MAIN"),
        Some("x") => Some("EXTENDED"),
        Some(_) | None => None,
    };
    let storage = storage.filter(|_| column.is_alike && is_other(|a, b| a.storage != b.storage));
    parts.extend(storage.map(|storage| format!("ALTER COLUMN {name} SET STORAGE {storage}")));
    let compression = match source.compression.as_str() {
        "p" => Some("pglz"),
        "l" => Some("lz4"),
        // Empty: the server's default.
        _ => parent.map(|_| "default"),
    };
    let compression =
        compression.filter(|_| column.is_alike && is_other(|a, b| a.compression != b.compression));
    parts.extend(compression.map(|method| format!("ALTER COLUMN {name} SET COMPRESSION {method}")));
    let statistics = source.statistics.or(parent.map(|_| -1));
    let statistics = statistics.filter(|_| is_other(|a, b| a.statistics != b.statistics));
    parts.extend(statistics.map(|target| format!("ALTER COLUMN {name} SET STATISTICS {target}")));
    if !source.options.is_empty() && is_other(|a, b| a.options != b.options) {
        parts.push(format!("ALTER COLUMN {name} SET ({})", source.options.join(", ")));
    }
    parts
}

/// A partition may have a default, settings, a comment and grants of its own.
fn of_partitions(work: &Work<'_>, column: &NewColumn, parent: &Column) -> Vec<String> {
    let name = Ident(&column.physical);
    let mut statements = Vec::new();
    for partition in partitions::all(work.model, &work.table.detail.name) {
        let Some(source) = partition.column(&parent.name) else { continue };
        let relation = RelationName::new(&work.model.schema, &partition.name).sql();
        let mut parts = settings(column, source, Some(parent));
        // The migration's own default holds for all.
        if column.default == parent.default && source.default != parent.default {
            parts.push(match &source.default {
                Some(default) => format!("ALTER COLUMN {name} SET DEFAULT {default}"),
                None => format!("ALTER COLUMN {name} DROP DEFAULT"),
            });
        }
        for part in parts {
            let statement = format!("ALTER TABLE {relation} {part}");
            let is_doubtful = column.has_new_type && part.contains(" SET DEFAULT ");
            statements.push(if is_doubtful { if_it_fits(&statement) } else { statement });
        }
        if let Some(comment) = &source.comment {
            statements.push(format!("COMMENT ON COLUMN {relation}.{name} IS {}", Literal(comment)));
        }
        let on = format!("TABLE {relation}");
        statements.extend(source.grants.iter().map(|one| grant(one, Some(&column.physical), &on)));
    }
    statements
}
