//! A script, statement by statement, and what is known of it so far.

use super::{alter_table, comment, create_table, drop, index, rename};
use crate::document::{Diagnostic, Place};
use crate::migrate::expression;
use crate::migrate::operation::{AlterColumn, CreateTable, Operation, RawSql};
use pg_query::NodeEnum;
use pg_query::protobuf::{RangeVar, RawStmt};

/// What a script became.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conversion {
    pub operations: Vec<Operation>,
    /// What was decided or left out on the way, each at its statement.
    pub notes: Vec<Diagnostic>,
}

/// Converts a script. Names of `schema` lose it; a migration knows one schema only.
///
/// # Errors
/// If the script is not SQL.
pub fn convert(sql: &str, file: &str, schema: &str) -> Result<Conversion, Diagnostic> {
    let parsed = expression::parse_script(sql).map_err(|error| {
        let byte = sql.char_indices().nth(error.offset).map_or(sql.len(), |(at, _)| at);
        Diagnostic::error(file, place(sql, byte), error.message)
    })?;
    let mut script = Script { sql, file, schema, ..Script::default() };
    for raw in &parsed.stmts {
        script.statement(raw);
    }
    script.finish();
    Ok(Conversion { operations: script.operations, notes: script.notes })
}

/// Why a statement stays SQL.
#[derive(Debug)]
pub(super) struct Kept {
    reason: String,
}

impl Kept {
    pub(super) fn because(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

#[derive(Default)]
pub(super) struct Script<'a> {
    sql: &'a str,
    file: &'a str,
    schema: &'a str,
    operations: Vec<Operation>,
    notes: Vec<Diagnostic>,
    /// Where the statement stands that is being read.
    place: Place,
    /// Operations before this one are not changed any more: SQL came after them, or a rename.
    closed: usize,
}

impl Script<'_> {
    fn statement(&mut self, raw: &RawStmt) {
        let Some(statement) = raw.stmt.as_ref().and_then(|node| node.node.as_ref()) else { return };
        let text = self.text_of(raw);
        self.place = place(self.sql, self.start_of(raw));
        let notes = self.notes.len();
        let before = self.operations.clone();
        #[expect(clippy::wildcard_enum_match_arm, reason = "over two hundred kinds of node")]
        let converted = match statement {
            NodeEnum::TransactionStmt(_) => {
                self.note("is left out: a migration makes its own transactions");
                return;
            }
            NodeEnum::VariableSetStmt(_) => {
                self.note("`SET` is left out: a migration's sessions have their own settings");
                return;
            }
            NodeEnum::CreateStmt(create) => create_table::convert(self, create),
            NodeEnum::AlterTableStmt(alter) => alter_table::convert(self, alter),
            NodeEnum::RenameStmt(renamed) => rename::convert(self, renamed),
            NodeEnum::DropStmt(dropped) => drop::convert(self, dropped),
            NodeEnum::IndexStmt(built) => index::convert(self, built),
            NodeEnum::CommentStmt(commented) => comment::convert(self, commented),
            _ => Err(Kept::because("there is no operation for it")),
        };
        if let Err(Kept { reason }) = converted {
            // Half of a statement is nothing.
            self.operations = before;
            self.notes.truncate(notes);
            self.note(&format!("stays SQL: {reason}"));
            self.push(RawSql { up: Some(text), ..RawSql::default() });
            self.close();
        }
    }

    fn start_of(&self, raw: &RawStmt) -> usize {
        let start = usize::try_from(raw.stmt_location).unwrap_or(0);
        let tail = self.sql.get(start..).unwrap_or_default();
        start + (tail.len() - without_comments(tail).len())
    }

    fn text_of(&self, raw: &RawStmt) -> String {
        let start = usize::try_from(raw.stmt_location).unwrap_or(0);
        let length = usize::try_from(raw.stmt_len).unwrap_or(0);
        // A length of zero is all the rest (RawStmt, parsenodes.h).
        let end = if length == 0 { self.sql.len() } else { start + length };
        let text = self.sql.get(start..end).unwrap_or_default();
        text.trim().trim_end_matches(';').to_owned()
    }

    fn finish(&mut self) {
        let is_sql = |operation: &Operation| matches!(operation, Operation::Sql(_));
        let sql_count = self.operations.iter().filter(|operation| is_sql(operation)).count();
        if sql_count == self.operations.len() {
            self.join_sql();
        } else if sql_count > 0 {
            self.place = Place { line: 1, column: 1 };
            let hint = "put the `sql` operations into migrations of their own, before and after";
            let message = "the script mixes SQL with operations, which one migration cannot run";
            let note = Diagnostic::warning(self.file, self.place, message);
            self.notes.push(note.with_hint(hint));
        }
    }

    /// A migration may hold one `sql` operation: it becomes the whole script, if nothing in it
    /// must run outside of a transaction.
    fn join_sql(&mut self) {
        let text = |operation: &Operation| {
            let Operation::Sql(sql) = operation else { return None };
            sql.up.clone()
        };
        let texts: Vec<String> = self.operations.iter().filter_map(text).collect();
        let is_alone = |text: &String| {
            let upper = text.to_uppercase();
            upper.contains("CONCURRENTLY") || upper.contains("VACUUM") || upper.contains("DATABASE")
        };
        if texts.len() > 1 && !texts.iter().any(is_alone) {
            let up = Some(texts.join(";\n"));
            self.operations = vec![RawSql { up, ..RawSql::default() }.into()];
        }
    }

    /// Says what became of the statement.
    pub(super) fn note(&mut self, message: &str) {
        let message = format!("this statement {message}").replace("statement `SET`", "`SET`");
        self.notes.push(Diagnostic::warning(self.file, self.place, message));
    }

    /// Says something about a part of the statement.
    pub(super) fn remark(&mut self, message: impl Into<String>, hint: &str) {
        let note = Diagnostic::warning(self.file, self.place, message);
        self.notes.push(note.with_hint(hint));
    }

    pub(super) fn push(&mut self, operation: impl Into<Operation>) {
        self.operations.push(operation.into());
    }

    /// What comes later does not change what came before.
    pub(super) fn close(&mut self) {
        self.closed = self.operations.len();
    }

    /// The name of a table in the migrated schema.
    pub(super) fn table_name(&self, relation: Option<&RangeVar>) -> Result<String, Kept> {
        let relation = relation.ok_or_else(|| Kept::because("it names no table"))?;
        self.in_schema(&relation.schemaname, &relation.catalogname)?;
        Ok(relation.relname.clone())
    }

    /// The name in a possibly qualified list of names.
    pub(super) fn name_of(&self, words: &[String]) -> Result<String, Kept> {
        match words {
            [name] => Ok(name.clone()),
            [schema, name] => self.in_schema(schema, "").map(|()| name.clone()),
            _ => Err(Kept::because("it names an object of another database")),
        }
    }

    fn in_schema(&self, schema: &str, catalog: &str) -> Result<(), Kept> {
        if catalog.is_empty() && (schema.is_empty() || schema == self.schema) {
            return Ok(());
        }
        let migrated = self.schema;
        Err(Kept::because(format!("`{schema}` is not the migrated schema, `{migrated}`")))
    }

    /// A table that the script has made and not changed by other means since.
    pub(super) fn made(&mut self, table: &str) -> Option<&mut CreateTable> {
        self.operations.iter_mut().skip(self.closed).rev().find_map(|operation| {
            let Operation::CreateTable(create) = operation else { return None };
            (create.name == table).then_some(create)
        })
    }

    /// A table that the script has made, whatever came since.
    pub(super) fn known(&self, table: &str) -> Option<&CreateTable> {
        self.operations.iter().rev().find_map(|operation| {
            let Operation::CreateTable(create) = operation else { return None };
            (create.name == table).then_some(create)
        })
    }

    /// Whether the second table is made by the script after the first one.
    pub(super) fn is_made_after(&self, first: &str, second: &str) -> bool {
        let at = |table: &str| {
            let is_it = |operation: &Operation| matches!(operation, Operation::CreateTable(create) if create.name == table);
            self.operations.iter().rposition(is_it)
        };
        at(second) > at(first)
    }

    /// Whether the script has given this name to an index already.
    pub(super) fn is_index_name(&self, name: &str) -> bool {
        let is_it = |operation: &Operation| matches!(operation, Operation::CreateIndex(create) if create.name == name);
        self.operations.iter().any(is_it)
    }

    /// Adds changes of a column, to the operation before if that is of the same column: a column
    /// is carried over once.
    pub(super) fn alter(&mut self, change: AlterColumn) {
        if self.operations.len() > self.closed
            && let Some(Operation::AlterColumn(last)) = self.operations.last_mut()
            && last.table == change.table
            && last.column == change.column
            && is_apart(last, &change)
        {
            merge(last, change);
            return;
        }
        self.push(change);
    }
}

fn is_apart(one: &AlterColumn, other: &AlterColumn) -> bool {
    let both = [
        (one.is_nullable.is_some(), other.is_nullable.is_some()),
        (one.type_name.is_some(), other.type_name.is_some()),
        (!one.default.is_keep(), !other.default.is_keep()),
        (!one.comment.is_keep(), !other.comment.is_keep()),
    ];
    both.iter().all(|(one, other)| !(*one && *other))
}

/// The type change's expressions stand for both: the other ones keep the value.
fn merge(last: &mut AlterColumn, change: AlterColumn) {
    let is_new_type = change.type_name.is_some();
    let of = |old: Option<String>, new: Option<String>| match (old, new) {
        (Some(old), Some(new)) => Some(if is_new_type { new } else { old }),
        (old, new) => old.or(new),
    };
    last.up = of(last.up.take(), change.up);
    last.down = of(last.down.take(), change.down);
    last.is_nullable = last.is_nullable.or(change.is_nullable);
    last.type_name = last.type_name.take().or(change.type_name);
    if !change.default.is_keep() {
        last.default = change.default;
    }
    if !change.comment.is_keep() {
        last.comment = change.comment;
    }
}

fn place(text: &str, byte: usize) -> Place {
    let before = text.get(..byte).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
    Place { line: count(before.matches('\n').count() + 1), column: count(column) }
}

/// The text from its first word on.
fn without_comments(text: &str) -> &str {
    let mut rest = text.trim_start();
    loop {
        let after = if let Some(comment) = rest.strip_prefix("--") {
            comment.split_once('\n').map(|(_, after)| after)
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/").map(|(_, after)| after)
        } else {
            return rest;
        };
        rest = after.unwrap_or_default().trim_start();
    }
}
