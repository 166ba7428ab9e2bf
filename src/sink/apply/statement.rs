//! The SQL of changes: one text per table and shape, prepared once.

use super::columns::Columns;
use super::{BoundColumn, BoundTable, Identity, KeyColumn};
use crate::pg::{Ident, Oid};
use std::fmt::Write as _;

/// What a statement does, apart from its table and its values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    pub verb: Verb,
    /// UPDATE: the columns that are set. Move: the columns whose new values are given.
    pub set: Columns,
    /// Under [`Identity::Full`], the columns that are null in the row that is looked for: said by
    /// `is null`, so that indexes stay usable.
    pub nulls: Columns,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Verb {
    Insert,
    Update,
    Delete,
    /// An UPDATE that changes a GENERATED ALWAYS AS IDENTITY column, which UPDATE cannot: the row
    /// is taken out and put back, with what it had in the columns that are not given.
    Move,
    /// Rows given as one array per column.
    InsertSet,
    UpdateSet,
    DeleteSet,
}

pub(super) struct Statement {
    pub sql: String,
    /// Of the parameters; a 0 is said by a cast.
    pub types: Vec<Oid>,
}

impl Shape {
    pub(super) fn of(verb: Verb) -> Self {
        Self { verb, set: Columns::default(), nulls: Columns::default() }
    }

    /// The statement for `table`. Parameters: first the set columns (INSERT: the written ones)
    /// in the order of the table, then [`key_columns`] without those in `nulls`, then
    /// [`guards`] where the verb has them.
    pub(super) fn statement(&self, table: &BoundTable) -> Statement {
        let mut text = Text { table, sql: String::new(), types: Vec::new() };
        match self.verb {
            Verb::Insert => text.insert(),
            Verb::Update => text.update(self),
            Verb::Delete => text.delete(self),
            Verb::Move => text.move_row(self),
            Verb::InsertSet => text.insert_set(),
            Verb::UpdateSet => text.update_set(self),
            Verb::DeleteSet => text.delete_set(),
        }
        Statement { sql: text.sql, types: text.types }
    }
}

/// The columns by which a row is found.
pub(super) fn key_columns(table: &BoundTable) -> &[KeyColumn] {
    match &table.identity {
        Identity::Key(columns) | Identity::Full(columns) => columns,
        Identity::None => &[],
    }
}

pub(super) fn is_key(table: &BoundTable, position: usize) -> bool {
    key_columns(table).iter().any(|key| key.position == position)
}

pub(super) fn written(table: &BoundTable) -> impl Iterator<Item = (usize, &BoundColumn)> {
    table.columns.iter().enumerate().filter(|(_, column)| column.is_written)
}

/// Columns outside of the key that UPDATE cannot set: it is made sure that they need not be. The
/// source can only change them by `SET … = DEFAULT`.
pub(super) fn guards(table: &BoundTable) -> impl Iterator<Item = (usize, &BoundColumn)> {
    written(table).filter(|(position, column)| {
        column.is_identity_always
            && matches!(table.identity, Identity::Key(_))
            && !is_key(table, *position)
    })
}

/// `copy … from stdin` of the written columns.
pub(super) fn copy(table: &BoundTable, format: crate::pg::Format) -> String {
    format!("copy {} ({}) from stdin (format {format})", table.target.sql(), column_list(table))
}

fn column_list(table: &BoundTable) -> String {
    written(table).map(|(_, column)| Ident(&column.name).to_string()).collect::<Vec<_>>().join(", ")
}

struct Text<'t> {
    table: &'t BoundTable,
    sql: String,
    types: Vec<Oid>,
}

impl Text<'_> {
    fn push(&mut self, text: &str) {
        self.sql.push_str(text);
    }

    fn column(&self, position: usize) -> Option<&BoundColumn> {
        self.table.columns.get(position)
    }

    fn name(&self, position: usize) -> String {
        self.column(position).map(|column| Ident(&column.name).to_string()).unwrap_or_default()
    }

    /// The relation without its inheritance children.
    fn target(&self) -> String {
        let only = if self.table.is_partitioned { "" } else { "only " };
        format!("{only}{}", self.table.target.sql())
    }

    fn parameter(&mut self, position: usize) -> String {
        let type_oid = self.column(position).map_or(Oid(0), |column| column.type_oid);
        self.types.push(type_oid);
        format!("${}", self.types.len())
    }

    fn insert(&mut self) {
        let (target, list) = (self.table.target.sql(), column_list(self.table));
        if list.is_empty() {
            return self.push(&format!("insert into {target} default values"));
        }
        let positions = written(self.table).map(|(position, _)| position).collect::<Vec<_>>();
        let values = positions.iter().map(|at| self.parameter(*at)).collect::<Vec<_>>().join(", ");
        self.push(&format!(
            "insert into {target} ({list}) overriding system value values ({values})"
        ));
    }

    fn update(&mut self, shape: &Shape) {
        let assignments = self.assignments(shape);
        let sql = format!("update {} as t set {assignments} where ", self.target());
        self.push(&sql);
        self.row_predicate(shape);
        self.guard_predicate();
    }

    fn assignments(&mut self, shape: &Shape) -> String {
        let positions = self.set_positions(shape);
        if positions.is_empty() {
            return self.itself();
        }
        let assign =
            |text: &mut Self, at: usize| format!("{} = {}", text.name(at), text.parameter(at));
        positions.into_iter().map(|at| assign(self, at)).collect::<Vec<_>>().join(", ")
    }

    fn set_positions(&self, shape: &Shape) -> Vec<usize> {
        (0..self.table.columns.len()).filter(|at| shape.set.contains(*at)).collect()
    }

    /// An assignment that changes nothing, for an UPDATE that has nothing to set: that the row is
    /// there is still checked. One column can be set or the shape would be another.
    fn itself(&self) -> String {
        let column = settable(self.table).map(|at| self.name(at)).unwrap_or_default();
        format!("{column} = t.{column}")
    }

    fn delete(&mut self, shape: &Shape) {
        let sql = format!("delete from {} as t where ", self.target());
        self.push(&sql);
        self.row_predicate(shape);
    }

    fn move_row(&mut self, shape: &Shape) {
        let list = column_list(self.table);
        let positions = written(self.table).map(|(at, _)| at).collect::<Vec<_>>();
        let mut values = Vec::new();
        for at in positions {
            values.push(if shape.set.contains(at) {
                self.parameter(at)
            } else {
                format!("gone.{}", self.name(at))
            });
        }
        let target = self.target();
        self.push(&format!("with gone as (delete from {target} as t where "));
        self.row_predicate(shape);
        let sql = format!(
            " returning t.*) insert into {} ({list}) overriding system value select {} from gone",
            self.table.target.sql(),
            values.join(", ")
        );
        self.push(&sql);
    }

    /// The one row of `t` that a change speaks of.
    fn row_predicate(&mut self, shape: &Shape) {
        if matches!(self.table.identity, Identity::Full(_)) {
            let (t, s) = if self.table.is_partitioned {
                ("(t.tableoid, t.ctid)", "s.tableoid, s.ctid")
            } else {
                ("t.ctid", "s.ctid")
            };
            let sql = format!("{t} = (select {s} from {} as s where ", self.target());
            self.push(&sql);
            self.column_predicates("s", &shape.nulls);
            self.push(" limit 1)");
        } else {
            self.column_predicates("t", &shape.nulls);
        }
    }

    fn column_predicates(&mut self, alias: &str, nulls: &Columns) {
        let table = self.table;
        if key_columns(table).is_empty() {
            // A table without columns: any row is the one.
            self.push("true");
        }
        for (at, key) in key_columns(table).iter().enumerate() {
            let name = self.name(key.position);
            let predicate = if nulls.contains(key.position) {
                format!("{alias}.{name} is null")
            } else {
                let parameter = self.parameter(key.position);
                compare(&format!("{alias}.{name}"), &parameter, key.equality.as_deref())
            };
            self.push(if at == 0 { "" } else { " and " });
            self.push(&predicate);
        }
    }

    fn guard_predicate(&mut self) {
        let positions = guards(self.table).map(|(at, _)| at).collect::<Vec<_>>();
        for at in positions {
            let (name, parameter) = (self.name(at), self.parameter(at));
            // Identity columns are integers.
            self.push(&format!(" and t.{name} operator(pg_catalog.=) {parameter}"));
        }
    }

    fn insert_set(&mut self) {
        let columns = written(self.table).map(|(at, _)| at).collect::<Vec<_>>();
        let sql = format!(
            "insert into {} ({}) overriding system value {}",
            self.table.target.sql(),
            column_list(self.table),
            self.arrays(&columns)
        );
        self.push(&sql);
    }

    fn update_set(&mut self, shape: &Shape) {
        let set = self.set_positions(shape);
        let keys = key_columns(self.table).iter().map(|key| key.position).collect::<Vec<_>>();
        let guarded = guards(self.table).map(|(at, _)| at).collect::<Vec<_>>();
        let columns = [set.as_slice(), &keys, &guarded].concat();
        let assignments = if set.is_empty() {
            self.itself()
        } else {
            let assign =
                |(at, position): (usize, &usize)| format!("{} = u.c{at}", self.name(*position));
            set.iter().enumerate().map(assign).collect::<Vec<_>>().join(", ")
        };
        let (target, arrays) = (self.target(), self.arrays(&columns));
        self.push(&format!("update {target} as t set {assignments} from ({arrays}) as u where "));
        self.joined(set.len());
        for (at, position) in guarded.iter().enumerate() {
            let (name, alias) = (self.name(*position), set.len() + keys.len() + at);
            self.push(&format!(" and t.{name} operator(pg_catalog.=) u.c{alias}"));
        }
    }

    fn delete_set(&mut self) {
        let keys = key_columns(self.table).iter().map(|key| key.position).collect::<Vec<_>>();
        let (target, arrays) = (self.target(), self.arrays(&keys));
        self.push(&format!("delete from {target} as t using ({arrays}) as u where "));
        self.joined(0);
    }

    /// `select unnest($1::type[]) as c0, …`: the arrays side by side, row by row. In FROM each
    /// would be written into a tuplestore and read back.
    fn arrays(&mut self, positions: &[usize]) -> String {
        let mut sql = String::from("select");
        for (at, position) in positions.iter().enumerate() {
            self.types.push(Oid(0));
            let type_name = self.column(*position).map_or("", |column| column.type_name.as_str());
            let (comma, number) = (if at == 0 { "" } else { "," }, self.types.len());
            // Writing to a String cannot fail.
            let _ = write!(sql, "{comma} pg_catalog.unnest(${number}::{type_name}[]) as c{at}");
        }
        sql
    }

    fn joined(&mut self, first_alias: usize) {
        for (at, key) in key_columns(self.table).iter().enumerate() {
            let name = self.name(key.position);
            let other = format!("u.c{}", first_alias + at);
            let predicate = compare(&format!("t.{name}"), &other, key.equality.as_deref());
            self.push(if at == 0 { "" } else { " and " });
            self.push(&predicate);
        }
    }
}

/// A column that UPDATE can set.
pub(super) fn settable(table: &BoundTable) -> Option<usize> {
    written(table).find(|(_, column)| !column.is_identity_always).map(|(at, _)| at)
}

fn compare(left: &str, right: &str, equality: Option<&str>) -> String {
    match equality {
        Some(operator) => format!("{left} {operator} {right}"),
        None => format!("{left}::pg_catalog.text operator(pg_catalog.=) {right}::pg_catalog.text"),
    }
}
