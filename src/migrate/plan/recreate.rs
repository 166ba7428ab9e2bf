//! Objects that name a column in their text: dropped and made again as they were.

use crate::catalog::RelationName;
use crate::catalog::detail::{Policy, Publication, Statistics, Table as Detail, Trigger, View};
use crate::migrate::model::Table;
use crate::migrate::plan::draft::quoted_list;
use crate::migrate::plan::views::grant;
use crate::pg::{Ident, Literal};
use std::fmt::Write as _;

fn reads(columns: &[String], going: &[String]) -> bool {
    columns.iter().any(|column| going.contains(column))
}

fn policies<'a>(detail: &'a Detail, going: &'a [String]) -> impl Iterator<Item = &'a Policy> {
    detail.policies.iter().filter(|policy| reads(&policy.columns, going))
}

fn triggers<'a>(detail: &'a Detail, going: &'a [String]) -> impl Iterator<Item = &'a Trigger> {
    detail.triggers.iter().filter(|trigger| reads(&trigger.columns, going))
}

fn publications<'a>(
    detail: &'a Detail,
    going: &'a [String],
) -> impl Iterator<Item = &'a Publication> {
    detail.publications.iter().filter(|publication| {
        reads(&publication.filter_columns, going)
            || publication.columns.as_ref().is_some_and(|columns| reads(columns, going))
    })
}

fn statistics<'a>(detail: &'a Detail, going: &'a [String]) -> impl Iterator<Item = &'a Statistics> {
    detail.statistics.iter().filter(|one| reads(&one.columns, going))
}

/// Statistics objects go with the column.
pub(super) fn drop(table: &Table, relation: &str, going: &[String]) -> Vec<String> {
    let detail = &table.detail;
    let mut statements = Vec::new();
    for policy in policies(detail, going) {
        statements.push(format!("DROP POLICY {} ON {relation}", Ident(&policy.name)));
    }
    for trigger in triggers(detail, going) {
        statements.push(format!("DROP TRIGGER {} ON {relation}", Ident(&trigger.name)));
    }
    for publication in publications(detail, going) {
        let name = Ident(&publication.name);
        statements.push(format!("ALTER PUBLICATION {name} DROP TABLE {relation}"));
    }
    statements
}

pub(super) fn create(table: &Table, relation: &str, going: &[String]) -> Vec<String> {
    let detail = &table.detail;
    let mut statements = Vec::new();
    for policy in policies(detail, going) {
        statements.extend(self::policy(policy, relation));
    }
    for trigger in triggers(detail, going) {
        statements.push(trigger.definition.clone());
        let name = Ident(&trigger.name);
        let enable = match trigger.enabled.as_str() {
            "D" => Some("DISABLE"),
            "R" => Some("ENABLE REPLICA"),
            "A" => Some("ENABLE ALWAYS"),
            // O: as it is made.
            _ => None,
        };
        if let Some(enable) = enable {
            statements.push(format!("ALTER TABLE {relation} {enable} TRIGGER {name}"));
        }
        if let Some(comment) = &trigger.comment {
            let comment = Literal(comment);
            statements.push(format!("COMMENT ON TRIGGER {name} ON {relation} IS {comment}"));
        }
    }
    for publication in publications(detail, going) {
        let mut sql =
            format!("ALTER PUBLICATION {} ADD TABLE {relation}", Ident(&publication.name));
        if let Some(columns) = &publication.columns {
            let _ = write!(sql, " ({})", quoted_list(columns));
        }
        if let Some(filter) = &publication.filter {
            let _ = write!(sql, " WHERE ({filter})");
        }
        statements.push(sql);
    }
    for one in statistics(detail, going) {
        let name = RelationName::new(&one.schema, &one.name).sql();
        statements.push(one.definition.clone());
        if let Some(target) = one.target {
            statements.push(format!("ALTER STATISTICS {name} SET STATISTICS {target}"));
        }
        if let Some(comment) = &one.comment {
            statements.push(format!("COMMENT ON STATISTICS {name} IS {}", Literal(comment)));
        }
    }
    statements
}

fn policy(policy: &Policy, relation: &str) -> Vec<String> {
    let name = Ident(&policy.name);
    let kind = if policy.is_permissive { "PERMISSIVE" } else { "RESTRICTIVE" };
    let command = match policy.command.as_str() {
        "r" => "SELECT",
        "a" => "INSERT",
        "w" => "UPDATE",
        "d" => "DELETE",
        // `*`
        _ => "ALL",
    };
    let roles =
        if policy.roles.is_empty() { "PUBLIC".to_owned() } else { quoted_list(&policy.roles) };
    let mut sql = format!("CREATE POLICY {name} ON {relation} AS {kind} FOR {command} TO {roles}");
    if let Some(using) = &policy.using {
        let _ = write!(sql, " USING ({using})");
    }
    if let Some(check) = &policy.with_check {
        let _ = write!(sql, " WITH CHECK ({check})");
    }
    let mut statements = vec![sql];
    if let Some(comment) = &policy.comment {
        statements.push(format!("COMMENT ON POLICY {name} ON {relation} IS {}", Literal(comment)));
    }
    statements
}

/// A view of the user's own, with everything that hangs on it.
pub(super) fn view(view: &View) -> Vec<String> {
    let name = RelationName::new(&view.schema, &view.name).sql();
    let options = if view.options.is_empty() {
        String::new()
    } else {
        format!(" WITH ({})", view.options.join(", "))
    };
    let definition = view.definition.as_deref().unwrap_or_default();
    let definition = definition.trim().trim_end_matches(';');
    let mut statements = vec![
        format!("CREATE VIEW {name} ({}){options} AS {definition}", quoted_list(&view.columns)),
        format!("ALTER VIEW {name} OWNER TO {}", Ident(&view.owner)),
    ];
    for (column, default) in &view.defaults {
        let column = Ident(column);
        statements.push(format!("ALTER VIEW {name} ALTER COLUMN {column} SET DEFAULT {default}"));
    }
    if let Some(comment) = &view.comment {
        statements.push(format!("COMMENT ON VIEW {name} IS {}", Literal(comment)));
    }
    for (column, comment) in &view.column_comments {
        let column = Ident(column);
        statements.push(format!("COMMENT ON COLUMN {name}.{column} IS {}", Literal(comment)));
    }
    let on = format!("TABLE {name}");
    statements.extend(view.grants.iter().map(|one| grant(one, None, &on)));
    statements
        .extend(view.column_grants.iter().map(|one| grant(&one.grant, Some(&one.column), &on)));
    statements
}
