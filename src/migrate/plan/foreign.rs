//! Takes back a migration that a pgroll started, by the names that pgroll gives.
//!
//! Of its rest in the catalog everything goes that bears such a name: a schema has one active
//! migration at a time.

use crate::catalog::RelationName;
use crate::migrate::file::Migration;
use crate::migrate::model::name;
use crate::migrate::operation::Operation;
use crate::migrate::plan::draft::lock;
use crate::migrate::plan::{LockMode, Mode, Plan, Step};
use crate::pg::Ident;
use std::collections::BTreeSet;

const NEW_COLUMN: &str = "_pgroll_new_";
const DELETED_TABLE: &str = "_pgroll_del_";
const FAST_PATH_TABLE: &str = "_pgroll_temp_fastpath_check";

/// What a pgroll's start left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rest {
    pub tables: Vec<RestOfTable>,
    /// Without a trigger: schema and name.
    pub functions: Vec<RelationName>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestOfTable {
    pub name: String,
    /// All of them, the user's too.
    pub columns: BTreeSet<String>,
    /// Behind pgroll's triggers.
    pub functions: Vec<RelationName>,
}

impl RestOfTable {
    /// Of pgroll.
    fn added(&self) -> impl Iterator<Item = &String> {
        self.columns.iter().filter(|column| is_new(column) || column.as_str() == name::MARKER)
    }
}

fn is_new(column: &str) -> bool {
    column.starts_with(NEW_COLUMN)
}

impl Rest {
    /// True if a column is gone of which only the one that was to replace it is left: complete
    /// stopped between the two, and the rows have nothing else.
    pub fn is_last_copy(&self, migration: &Migration) -> bool {
        let is_added = |base: &str| {
            migration.operations.iter().any(
                |one| matches!(one, Operation::AddColumn(add) if add.column.name.starts_with(base)),
            )
        };
        let is_renamed = |table: &RestOfTable, base: &str| {
            migration.operations.iter().any(|one| {
                matches!(one, Operation::RenameColumn(rename)
                    if rename.to.starts_with(base) && table.columns.contains(&rename.from))
            })
        };
        self.tables.iter().any(|table| {
            // Of a long name the server has kept as much as there is room for.
            let bases = table.columns.iter().filter_map(|column| column.strip_prefix(NEW_COLUMN));
            let is_there = |base: &str| table.columns.iter().any(|other| other.starts_with(base));
            bases
                .into_iter()
                .any(|base| !is_there(base) && !is_added(base) && !is_renamed(table, base))
        })
    }

    fn has_table(&self, name: &str) -> bool {
        self.tables.iter().any(|table| table.name == name)
    }

    fn has_column(&self, table: &str, column: &str) -> bool {
        self.tables.iter().any(|one| one.name == table && one.columns.contains(column))
    }

    /// True if everything is there that a whole start makes and a complete takes away.
    pub fn is_whole(&self, migration: &Migration) -> bool {
        let has_new = |column: &String| {
            let new: String = fitting(&format!("{NEW_COLUMN}{column}"));
            self.tables.iter().any(|table| table.columns.contains(&new))
        };
        let has_any =
            || self.tables.iter().any(|table| table.columns.iter().any(|one| is_new(one)));
        migration.operations.iter().all(|operation| match operation {
            Operation::AddColumn(one) => has_new(&one.column.name),
            Operation::AlterColumn(one) => has_new(&one.column),
            Operation::CreateConstraint(one) => one.columns.iter().all(has_new),
            Operation::DropMultiColumnConstraint(one) => one.down.keys().all(has_new),
            Operation::DropConstraint(_) => has_any(),
            Operation::DropColumn(one) => self.has_column(&one.table, &one.column),
            Operation::RenameColumn(one) => self.has_column(&one.table, &one.from),
            Operation::RenameTable(one) => self.has_table(&one.from),
            Operation::DropTable(one) => self.has_table(&deleted(&one.name)),
            // Nothing of them is looked at.
            Operation::RenameConstraint(_) | Operation::DropIndex(_) => false,
            Operation::Sql(sql) => !sql.is_on_complete,
            Operation::CreateTable(_)
            | Operation::CreateIndex(_)
            | Operation::SetReplicaIdentity(_) => true,
        })
    }
}

fn deleted(table: &str) -> String {
    fitting(&format!("{DELETED_TABLE}{table}"))
}

/// As the server cuts a name.
fn fitting(name: &str) -> String {
    let mut end = name.len().min(name::MAX_NAME_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.get(..end).unwrap_or_default().to_owned()
}

/// A plan that can be rolled back, and nothing else.
pub fn undo(schema: &str, migration: &Migration, rest: &Rest) -> Plan {
    let version_schema = fitting(&format!("{schema}_{}", migration.version()));
    let transaction = |id: String, statements: Vec<String>| {
        Step::transaction(format!("rollback/{id}"), None, statements, Vec::new())
    };
    let mut steps = vec![transaction(
        "0000/version".to_owned(),
        vec![format!("DROP SCHEMA IF EXISTS {} CASCADE", Ident(&version_schema))],
    )];
    for table in &rest.tables {
        steps.extend(undo_table(schema, table));
    }
    for (at, operation) in migration.operations.iter().enumerate().rev() {
        steps.extend(undo_operation(schema, at, operation));
    }
    let scratch = RelationName::new(schema, FAST_PATH_TABLE).sql();
    let mut last = vec![format!("DROP TABLE IF EXISTS {scratch}")];
    last.extend(rest.functions.iter().map(drop_function));
    steps.push(transaction("9999/rest".to_owned(), last));
    Plan {
        schema: schema.to_owned(),
        version_schema,
        previous: None,
        checks: Vec::new(),
        start: Vec::new(),
        backfill: Vec::new(),
        validate: Vec::new(),
        views: Vec::new(),
        must_reload: false,
        must_refresh: false,
        complete: Vec::new(),
        rollback: steps,
    }
}

fn drop_function(function: &RelationName) -> String {
    format!("DROP FUNCTION IF EXISTS {}() CASCADE", function.sql())
}

/// Triggers and columns at once: without the triggers a writer lacks what the columns ask for.
fn undo_table(schema: &str, table: &RestOfTable) -> Option<Step> {
    let relation = RelationName::new(schema, &table.name);
    let mut statements: Vec<String> = table.functions.iter().map(drop_function).collect();
    let columns = table.added().map(|column| format!("DROP COLUMN IF EXISTS {}", Ident(column)));
    let columns: Vec<String> = columns.collect();
    if !columns.is_empty() {
        statements.push(format!("ALTER TABLE IF EXISTS {} {}", relation.sql(), columns.join(", ")));
    }
    if statements.is_empty() {
        return None;
    }
    let id = format!("rollback/0001/columns {}", table.name);
    let locks = vec![lock(relation, LockMode::AccessExclusive)];
    Some(Step::transaction(id, None, statements, locks))
}

fn undo_operation(schema: &str, at: usize, operation: &Operation) -> Option<Step> {
    let sql = |name: &str| RelationName::new(schema, name).sql();
    let step = |words: &str, statement: String| {
        let id = format!("rollback/{:04}/{words}", at + 2);
        Step::transaction(id, Some(at), vec![statement], Vec::new())
    };
    match operation {
        Operation::CreateTable(one) => {
            Some(step("table", format!("DROP TABLE IF EXISTS {}", sql(&one.name))))
        }
        Operation::DropTable(one) => {
            let hidden = sql(&deleted(&one.name));
            let back = format!("ALTER TABLE IF EXISTS {hidden} RENAME TO {}", Ident(&one.name));
            Some(step("table", back))
        }
        Operation::CreateIndex(one) => {
            let mut drop =
                step("index", format!("DROP INDEX CONCURRENTLY IF EXISTS {}", sql(&one.name)));
            drop.mode = Mode::DropIndex { index: RelationName::new(schema, &one.name) };
            Some(drop)
        }
        Operation::Sql(one) => {
            let mut down = step("down", one.down.clone().filter(|down| !down.trim().is_empty())?);
            down.mode = Mode::Script;
            Some(down)
        }
        Operation::RenameTable(_)
        | Operation::AddColumn(_)
        | Operation::DropColumn(_)
        | Operation::RenameColumn(_)
        | Operation::AlterColumn(_)
        | Operation::CreateConstraint(_)
        | Operation::DropConstraint(_)
        | Operation::DropMultiColumnConstraint(_)
        | Operation::RenameConstraint(_)
        | Operation::DropIndex(_)
        | Operation::SetReplicaIdentity(_) => None,
    }
}
