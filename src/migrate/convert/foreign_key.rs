//! `REFERENCES`: of a column and of a table's columns.

use super::script::{Kept, Script};
use super::text;
use crate::migrate::operation::{
    CreateTable, ForeignKeyAction, ForeignKeyMatch, TableConstraintType, TableForeignKeyReference,
};
use pg_query::protobuf::Constraint;

/// What the constraint refers to. `maker` is the table that holds it, if the script makes it
/// right now: a table may refer to itself.
pub(super) fn reference(
    script: &Script<'_>,
    constraint: &Constraint,
    maker: Option<&CreateTable>,
) -> Result<TableForeignKeyReference, Kept> {
    let table = script.table_name(constraint.pktable.as_ref())?;
    let mut columns = text::words(&constraint.pk_attrs);
    if columns.is_empty() {
        let made = maker.filter(|maker| maker.name == table).or_else(|| script.known(&table));
        columns = made.map(primary_key).unwrap_or_default();
    }
    if columns.is_empty() {
        let words = format!("the primary key of `{table}` is not known here: name its columns");
        return Err(Kept::because(words));
    }
    if constraint.fk_with_period || constraint.pk_with_period {
        return Err(Kept::because("`PERIOD` has no field"));
    }
    Ok(TableForeignKeyReference {
        columns,
        match_type: match_type(&constraint.fk_matchtype)?,
        on_delete: action(&constraint.fk_del_action)?,
        on_delete_set_columns: text::words(&constraint.fk_del_set_cols),
        on_update: action(&constraint.fk_upd_action)?,
        table,
    })
}

/// The columns of the primary key, in order; empty if there is none.
pub(super) fn primary_key(table: &CreateTable) -> Vec<String> {
    let keys = table.constraints.iter();
    let mut keys = keys.filter(|of| of.constraint_type == Some(TableConstraintType::PrimaryKey));
    if let Some(key) = keys.next() {
        return key.columns.clone();
    }
    let columns = table.columns.iter().filter(|column| column.is_primary_key);
    columns.map(|column| column.name.clone()).collect()
}

/// `FKCONSTR_MATCH_*` (parsenodes.h). SIMPLE is what the parser writes where nothing is given.
fn match_type(letter: &str) -> Result<Option<ForeignKeyMatch>, Kept> {
    match letter {
        "s" | "" => Ok(None),
        "f" => Ok(Some(ForeignKeyMatch::Full)),
        "p" => Ok(Some(ForeignKeyMatch::Partial)),
        _ => Err(Kept::because("a match type that is not known")),
    }
}

/// `FKCONSTR_ACTION_*` (parsenodes.h). NO ACTION is what the parser writes where nothing is given.
fn action(letter: &str) -> Result<Option<ForeignKeyAction>, Kept> {
    match letter {
        "a" | "" => Ok(None),
        "r" => Ok(Some(ForeignKeyAction::Restrict)),
        "c" => Ok(Some(ForeignKeyAction::Cascade)),
        "n" => Ok(Some(ForeignKeyAction::SetNull)),
        "d" => Ok(Some(ForeignKeyAction::SetDefault)),
        _ => Err(Kept::because("a foreign key action that is not known")),
    }
}
