//! The difference between two shapes of a table, as changes that lead from the one to the other.
//!
//! Columns are told apart by `attnum`, which no ALTER TABLE changes: a rename is not a drop and an
//! add. Pure; who runs the statements has looked at what they need.

use crate::catalog::{KnownColumn, RelationName};
use crate::pg::Ident;

/// One change of a table's columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaChange {
    DropColumn {
        name: String,
    },
    RenameColumn {
        from: String,
        to: String,
    },
    AddColumn {
        name: String,
        type_name: String,
    },
    /// The rows that are there are to be written anew.
    AlterType {
        name: String,
        type_name: String,
    },
}

impl SchemaChange {
    /// One ALTER TABLE (sql-altertable.html). A new column is nullable and has no default: what it
    /// holds comes with the rows.
    pub fn statement(&self, table: &RelationName) -> String {
        let table = table.sql();
        match self {
            Self::DropColumn { name } => {
                format!("alter table {table} drop column if exists {}", Ident(name))
            }
            Self::RenameColumn { from, to } => {
                format!("alter table {table} rename column {} to {}", Ident(from), Ident(to))
            }
            Self::AddColumn { name, type_name } => {
                format!("alter table {table} add column if not exists {} {type_name}", Ident(name))
            }
            Self::AlterType { name, type_name } => {
                let name = Ident(name);
                format!(
                    "alter table {table} alter column {name} drop default, \
                     alter column {name} type {type_name} using {name}::text::{type_name}"
                )
            }
        }
    }

    /// For people.
    pub fn describe(&self) -> String {
        match self {
            Self::DropColumn { name } => format!("column {name} dropped"),
            Self::RenameColumn { from, to } => format!("column {from} renamed to {to}"),
            Self::AddColumn { name, type_name } => format!("column {name} added as {type_name}"),
            Self::AlterType { name, type_name } => format!("column {name} is now {type_name}"),
        }
    }
}

/// What makes the shape `from` the shape `to`, in an order in which every statement finds the
/// names that it speaks of: columns that swap their names go by way of a third.
pub fn changes(from: &[KnownColumn], to: &[KnownColumn]) -> Vec<SchemaChange> {
    let find = |columns: &[KnownColumn], number: i16| {
        columns.iter().position(|column| column.number == number)
    };
    let dropped = from.iter().filter(|column| find(to, column.number).is_none());
    let mut changes = dropped
        .map(|column| SchemaChange::DropColumn { name: column.name.clone() })
        .collect::<Vec<_>>();
    let kept = from.iter().filter_map(|old| Some((old, to.get(find(to, old.number)?)?)));
    let moved = kept.clone().filter(|(old, new)| old.name != new.name).collect::<Vec<_>>();
    let is_taken = |name: &str| moved.iter().any(|(old, _)| old.name == *name);
    let mut second = Vec::new();
    for (old, new) in &moved {
        let to = new.name.clone();
        if is_taken(&to) {
            let between = format!("_backlot_{}", old.number);
            let from = old.name.clone();
            changes.push(SchemaChange::RenameColumn { from, to: between.clone() });
            second.push(SchemaChange::RenameColumn { from: between, to });
        } else {
            second.push(SchemaChange::RenameColumn { from: old.name.clone(), to });
        }
    }
    changes.append(&mut second);
    changes.extend(kept.filter(|(old, new)| old.type_name != new.type_name).map(|(_, new)| {
        SchemaChange::AlterType { name: new.name.clone(), type_name: new.type_name.clone() }
    }));
    let added = to.iter().filter(|column| find(from, column.number).is_none());
    changes.extend(added.map(|column| SchemaChange::AddColumn {
        name: column.name.clone(),
        type_name: column.type_name.clone(),
    }));
    changes
}

#[cfg(test)]
mod tests {
    use super::changes;
    use crate::catalog::{KnownColumn, RelationName};

    fn shape(columns: &[(i16, &str, &str)]) -> Vec<KnownColumn> {
        let column = |(number, name, type_name): &(i16, &str, &str)| KnownColumn {
            number: *number,
            name: (*name).to_owned(),
            type_name: (*type_name).to_owned(),
            origin: None,
        };
        columns.iter().map(column).collect()
    }

    fn described(from: &[(i16, &str, &str)], to: &[(i16, &str, &str)]) -> Vec<String> {
        changes(&shape(from), &shape(to)).iter().map(super::SchemaChange::describe).collect()
    }

    #[test]
    fn what_is_the_same_needs_nothing() {
        let columns = [(1, "id", "integer"), (2, "name", "text")];
        assert_eq!(described(&columns, &columns), [""; 0]);
    }

    #[test]
    fn the_end_of_a_migration_drops_before_it_renames() {
        let from = [(1, "id", "integer"), (2, "x", "text"), (3, "_pgroll_new_x", "integer")];
        let to = [(1, "id", "integer"), (3, "x", "integer"), (4, "y", "public.mood")];
        assert_eq!(
            described(&from, &to),
            [
                "column x dropped",
                "column _pgroll_new_x renamed to x",
                "column y added as public.mood"
            ]
        );
    }

    #[test]
    fn names_that_are_swapped_go_by_way_of_a_third() {
        let (from, to) =
            ([(1, "a", "text"), (2, "b", "text")], [(1, "b", "text"), (2, "a", "text")]);
        assert_eq!(
            described(&from, &to),
            [
                "column a renamed to _backlot_1",
                "column b renamed to _backlot_2",
                "column _backlot_1 renamed to b",
                "column _backlot_2 renamed to a"
            ]
        );
    }

    #[test]
    fn a_type_with_another_length_is_another_type() {
        let from = [(1, "name", "character varying(10)")];
        let to = [(1, "Name", "character varying(20)")];
        let changes = changes(&shape(&from), &shape(&to));
        let table = RelationName::new("public", "T");
        let statements = changes.iter().map(|one| one.statement(&table)).collect::<Vec<_>>();
        assert_eq!(
            statements,
            [
                "alter table \"public\".\"T\" rename column \"name\" to \"Name\"",
                "alter table \"public\".\"T\" alter column \"Name\" drop default, alter column \"Name\" \
                 type character varying(20) using \"Name\"::text::character varying(20)"
            ]
        );
    }
}
