//! Publications that an owner made beforehand: checked, never changed.

use super::plan::{Followed, Following, RelationIdentity};
use crate::catalog::{Catalog, RelationKind, Table, TableId};
use crate::pg::{Error, Oid, Session};
use std::collections::{BTreeMap, BTreeSet};

const NAMED_PUBLICATIONS: &str = include_str!("../sql/named_publications.sql");

/// Why publications named in the configuration will not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedProblem {
    /// The publication that it is about; None if it is about all of them together.
    pub publication: Option<String>,
    pub message: String,
    pub fix: String,
}

/// One line of `pg_publication_tables`.
struct Line {
    publication: String,
    publishes: Publishes,
    relation: Option<String>,
    columns: Option<Vec<String>>,
    filter: Option<String>,
    leaves: Vec<Option<u32>>,
}

#[expect(clippy::struct_excessive_bools, reason = "the columns of pg_publication")]
#[derive(Clone, Copy, Default)]
struct Publishes {
    insert: bool,
    update: bool,
    delete: bool,
    truncate: bool,
}

/// How the named publications follow each copied table, or everything that is wrong with them.
pub async fn check_named(
    session: &Session,
    names: &[String],
    catalog: &Catalog,
    copied: &BTreeSet<TableId>,
    identities: &BTreeMap<Oid, RelationIdentity>,
) -> Result<Result<Vec<Followed>, Vec<NamedProblem>>, Error> {
    let rows = session.query(NAMED_PUBLICATIONS, &[&names]).await?;
    let lines = rows.iter().map(line).collect::<Vec<_>>();
    let mut problems = Vec::new();
    for name in names {
        if !lines.iter().any(|line| line.publication == *name) {
            problems.push(NamedProblem {
                publication: Some(name.clone()),
                message: format!("the source has no publication `{name}`"),
                fix: format!(
                    "create it before the clone is started, or leave `publications` out if the role may \
                     create them: create publication {} for table …",
                    crate::pg::Ident(name)
                ),
            });
        }
    }
    let mut followed = Vec::new();
    for (id, table) in catalog.iter() {
        if !copied.contains(&id) || table.kind != RelationKind::Table {
            continue;
        }
        let Some(identity) = identities.get(&table.oid) else { continue };
        let following = if identity.is_logged {
            table_following(table, identity, &lines, &mut problems)
        } else {
            Following::Not { reason: "unlogged: its changes are not in the WAL".into() }
        };
        followed.push(Followed { name: table.name.clone(), following });
    }
    Ok(if problems.is_empty() { Ok(followed) } else { Err(problems) })
}

fn line(row: &tokio_postgres::Row) -> Line {
    let schema: Option<String> = row.get("schema");
    let name: Option<String> = row.get("name");
    Line {
        publication: row.get("publication"),
        publishes: Publishes {
            insert: row.get("pubinsert"),
            update: row.get("pubupdate"),
            delete: row.get("pubdelete"),
            truncate: row.get("pubtruncate"),
        },
        relation: schema.zip(name).map(|(schema, name)| format!("{schema}.{name}")),
        columns: row.get("columns"),
        filter: row.get("filter"),
        leaves: row.get("leaves"),
    }
}

fn table_following(
    table: &Table,
    identity: &RelationIdentity,
    lines: &[Line],
    problems: &mut Vec<NamedProblem>,
) -> Following {
    let of_table =
        lines.iter().filter(|line| line.leaves.contains(&Some(table.oid.0))).collect::<Vec<_>>();
    let mut problem = |line: Option<&Line>, message: String, fix: String| {
        let publication = line.map(|line| line.publication.clone());
        problems.push(NamedProblem { publication, message, fix });
    };
    if of_table.is_empty() {
        let fix = format!("alter publication … add table only {}, or exclude it", table.name.sql());
        problem(None, format!("{} is copied and not published", table.name), fix);
        return Following::Whole;
    }
    for line in &of_table {
        let relation = line.relation.as_deref().unwrap_or_default();
        let of = format!("publication `{}` publishes {relation}", line.publication);
        if line.filter.is_some() {
            let fix = "publish it without WHERE, or exclude the table";
            problem(Some(line), format!("{of} with a row filter"), fix.into());
        }
        if let Some(columns) = &line.columns {
            let missing = table.copied_columns().map(|(_, column)| column.name.as_str());
            let missing = missing.filter(|name| !columns.iter().any(|column| column == name));
            let missing = missing.collect::<Vec<_>>().join(", ");
            if !missing.is_empty() {
                let fix = "publish it without a column list, or exclude the table";
                problem(Some(line), format!("{of} without its column(s) {missing}"), fix.into());
            }
        }
        if let Some(reason) =
            identity.missing.as_ref().filter(|_| line.publishes.update || line.publishes.delete)
        {
            let message =
                format!("{of} with updates, and the source's own UPDATE and DELETE fail: {reason}");
            let fix = format!(
                "move {relation} to a publication with (publish = 'insert, truncate'), \
                 or alter table {} replica identity full",
                table.name.sql()
            );
            problem(Some(line), message, fix);
        }
    }
    let any = |of: fn(Publishes) -> bool| of_table.iter().any(|line| of(line.publishes));
    let set_publish = |publish: &str| {
        format!("alter publication … set (publish = '{publish}') for {}", table.name)
    };
    let insert_and_truncate = any(|p| p.insert) && any(|p| p.truncate);
    match (insert_and_truncate, any(|p| p.update), any(|p| p.delete)) {
        (true, true, true) => Following::Whole,
        (true, false, false) => Following::InsertOnly {
            reason: identity
                .missing
                .clone()
                .unwrap_or_else(|| "its publications leave out UPDATE and DELETE".into()),
        },
        _ => {
            let message =
                format!("the publications leave out some kinds of changes of {}", table.name);
            problem(None, message, set_publish("insert, update, delete, truncate"));
            Following::Whole
        }
    }
}
