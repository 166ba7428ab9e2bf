//! `ALTER TABLE`: each of its changes, or the whole of it as SQL.

use super::script::{Kept, Script};
use super::{PLACEHOLDER, constraint, create_table, text};
use crate::migrate::expression;
use crate::migrate::operation::{
    AddColumn, AlterColumn, Change, Column, CreateTable, DropColumn, DropMultiColumnConstraint,
    ReplicaIdentity, ReplicaIdentityType, SetReplicaIdentity, TableConstraint, TableConstraintType,
};
use pg_query::NodeEnum;
use pg_query::protobuf::{
    AlterTableCmd, AlterTableStmt, AlterTableType, ColumnDef, Constraint, DropBehavior, ObjectType,
};
use std::collections::BTreeMap;

/// Functions that give one value in one statement: a default of these is no backfill.
const NOT_VOLATILE: [&str; 12] = [
    "now",
    "transaction_timestamp",
    "statement_timestamp",
    "current_setting",
    "lower",
    "upper",
    "concat",
    "coalesce",
    "timezone",
    "to_date",
    "make_interval",
    "date_trunc",
];
/// Types of which a cast cuts off what is too long, where `ALTER TABLE` refuses it.
const CUT_TYPES: [&str; 5] = ["varchar", "char", "bpchar", "bit", "varbit"];

pub(super) fn convert(script: &mut Script<'_>, alter: &AlterTableStmt) -> Result<(), Kept> {
    if alter.objtype != ObjectType::ObjectTable as i32 {
        return Err(Kept::because("only tables can be altered"));
    }
    let table = script.table_name(alter.relation.as_ref())?;
    for command in &alter.cmds {
        let Some(NodeEnum::AlterTableCmd(command)) = &command.node else {
            return Err(Kept::because("a change that is not read"));
        };
        one(script, &table, command)?;
    }
    if alter.missing_ok {
        script.remark("`IF EXISTS` is left out", "the migration is refused if it does not exist");
    }
    Ok(())
}

fn one(script: &mut Script<'_>, table: &str, command: &AlterTableCmd) -> Result<(), Kept> {
    if command.behavior == DropBehavior::DropCascade as i32 {
        return Err(Kept::because("`CASCADE` drops what no operation names"));
    }
    let name = command.name.clone();
    let definition = command.def.as_ref().and_then(|def| def.node.as_ref());
    match (AlterTableType::try_from(command.subtype), definition) {
        (Ok(AlterTableType::AtAddColumn), Some(NodeEnum::ColumnDef(column))) => {
            add_column(script, table, column)?;
        }
        (Ok(AlterTableType::AtDropColumn), _) => drop_column(script, table, name),
        (Ok(AlterTableType::AtColumnDefault), default) => {
            let default =
                default.map(|of| text::expression(&text::node(of.clone()))).transpose()?;
            set_default(script, table, name, default);
        }
        (Ok(AlterTableType::AtSetNotNull), _) => set_nullable(script, table, name, false),
        (Ok(AlterTableType::AtDropNotNull), _) => set_nullable(script, table, name, true),
        (Ok(AlterTableType::AtAlterColumnType), Some(NodeEnum::ColumnDef(column))) => {
            change_type(script, table, name, column)?;
        }
        (Ok(AlterTableType::AtAddConstraint), Some(NodeEnum::Constraint(of))) => {
            add_constraint(script, table, of)?;
        }
        (Ok(AlterTableType::AtDropConstraint), _) => drop_constraint(script, table, name)?,
        (Ok(AlterTableType::AtReplicaIdentity), Some(NodeEnum::ReplicaIdentityStmt(of))) => {
            let identity = replica_identity(&of.identity_type, &of.name)?;
            script.push(SetReplicaIdentity { identity, table: table.to_owned() });
        }
        _ => return Err(Kept::because("there is no operation for one of its changes")),
    }
    if command.missing_ok {
        let message = "`IF EXISTS` or `IF NOT EXISTS` is left out";
        script.remark(message, "the migration is refused if it is not as the statement means it");
    }
    Ok(())
}

fn add_column(script: &mut Script<'_>, table: &str, definition: &ColumnDef) -> Result<(), Kept> {
    let made = script.made(table).map(|made| made.clone());
    let maker = CreateTable { name: table.to_owned(), ..CreateTable::default() };
    let (column, apart) =
        create_table::column(script, definition, made.as_ref().unwrap_or(&maker))?;
    let is_later = |of: &TableConstraint| is_later(script, table, of);
    let refers_later = apart.iter().any(is_later)
        || column.references.as_ref().is_some_and(|to| script.is_made_after(table, &to.table));
    if !refers_later && let Some(made) = script.made(table) {
        made.columns.push(column);
        made.constraints.extend(apart);
        return Ok(());
    }
    if column.is_primary_key {
        return Err(Kept::because("`add_column` adds no column of the primary key"));
    }
    if !apart.is_empty() {
        return Err(Kept::because("a constraint of the column has no field"));
    }
    let up = first_value(script, table, &column);
    script.push(AddColumn { column, table: table.to_owned(), up });
    Ok(())
}

/// The value in the rows that are there, where the column does not have one by itself.
fn first_value(script: &mut Script<'_>, table: &str, column: &Column) -> Option<String> {
    if let Some(default) = &column.default {
        let facts = expression::facts(default).ok()?;
        let is_other = |name: &String| !NOT_VOLATILE.contains(&name.as_str());
        return facts.functions.iter().any(is_other).then(|| default.clone());
    }
    let is_serial = column.type_name.to_lowercase().contains("serial");
    if column.is_nullable || column.generated.is_some() || is_serial {
        return None;
    }
    let what = format!("column `{}` of `{table}` is NOT NULL and has no default", column.name);
    script.remark(what, "write in `up` what it is in the rows that are there");
    Some(PLACEHOLDER.to_owned())
}

fn drop_column(script: &mut Script<'_>, table: &str, column: String) {
    let known = script.known(table).and_then(|made| column_of(made, &column));
    let is_needed = known.is_none_or(|column| !column.is_nullable && column.default.is_none());
    if is_needed {
        let what =
            format!("`{column}` of `{table}` keeps its NOT NULL until complete, if it has one");
        script.remark(what, "write in `down` what the old version sees in rows of the new one");
    }
    script.push(DropColumn { column, down: None, table: table.to_owned() });
}

fn column_of<'a>(table: &'a CreateTable, column: &str) -> Option<&'a Column> {
    table.columns.iter().find(|of| of.name == column)
}

/// The column, if its table is still being made.
fn open<'a>(script: &'a mut Script<'_>, table: &str, column: &str) -> Option<&'a mut Column> {
    script.made(table)?.columns.iter_mut().find(|of| of.name == column)
}

fn set_default(script: &mut Script<'_>, table: &str, column: String, default: Option<String>) {
    if let Some(open) = open(script, table, &column) {
        open.default = default;
        return;
    }
    let default = default.map_or(Change::Remove, Change::Set);
    script.alter(AlterColumn {
        table: table.to_owned(),
        column,
        default,
        ..AlterColumn::default()
    });
}

fn set_nullable(script: &mut Script<'_>, table: &str, column: String, is_nullable: bool) {
    if let Some(open) = open(script, table, &column) {
        open.is_nullable = is_nullable;
        return;
    }
    if is_nullable {
        let what = format!("a NULL in `{column}` of `{table}` is refused until complete");
        script.remark(what, "write in `down` what the old version sees in its place");
    }
    let kept = Some(text::quoted(&column));
    script.alter(AlterColumn {
        up: kept.clone(),
        down: kept,
        is_nullable: Some(is_nullable),
        table: table.to_owned(),
        column,
        ..AlterColumn::default()
    });
}

fn change_type(
    script: &mut Script<'_>,
    table: &str,
    column: String,
    definition: &ColumnDef,
) -> Result<(), Kept> {
    if definition.coll_clause.is_some() {
        return Err(Kept::because("a column's collation has no field"));
    }
    let type_name = definition.type_name.as_ref();
    let type_name = text::type_name(type_name.ok_or_else(|| Kept::because("no type"))?)?;
    let using = definition.raw_default.as_ref().map(|of| text::expression(of)).transpose()?;
    if let Some(open) = open(script, table, &column) {
        open.type_name = type_name;
        return Ok(());
    }
    let known = script.known(table).and_then(|made| column_of(made, &column));
    let down = if let Some(known) = known {
        cast(&column, &known.type_name)
    } else {
        let what = format!("`down` gives the old version `{column}` of `{table}` as it is");
        script.remark(what, "write a cast there if the old type does not take it");
        text::quoted(&column)
    };
    script.alter(AlterColumn {
        up: Some(using.unwrap_or_else(|| cast(&column, &type_name))),
        down: Some(down),
        type_name: Some(type_name),
        table: table.to_owned(),
        column,
        ..AlterColumn::default()
    });
    Ok(())
}

fn cast(column: &str, type_name: &str) -> String {
    let column = text::quoted(column);
    let name = type_name.split('(').next().unwrap_or_default();
    let name = name.strip_prefix("pg_catalog.").unwrap_or(name);
    let is_cut = type_name.contains('(') && CUT_TYPES.contains(&name.trim());
    if is_cut { column } else { format!("{column}::{type_name}") }
}

fn add_constraint(script: &mut Script<'_>, table: &str, of: &Constraint) -> Result<(), Kept> {
    let made = script.made(table).map(|made| made.clone());
    let of = constraint::of_table(script, of, table, made.as_ref())?;
    if !is_later(script, table, &of)
        && let Some(made) = script.made(table)
    {
        if of.constraint_type == Some(TableConstraintType::PrimaryKey) {
            let keys = made.columns.iter_mut().filter(|column| of.columns.contains(&column.name));
            keys.for_each(|column| column.is_nullable = false);
        }
        made.constraints.push(of);
        return Ok(());
    }
    let operation = constraint::of_existing(of, table.to_owned())?;
    script.push(operation);
    Ok(())
}

/// Whether it refers to a table that is made after its own.
fn is_later(script: &Script<'_>, table: &str, of: &TableConstraint) -> bool {
    of.references.as_ref().is_some_and(|to| script.is_made_after(table, &to.table))
}

fn drop_constraint(script: &mut Script<'_>, table: &str, name: String) -> Result<(), Kept> {
    let columns = match script.known(table) {
        Some(made) => covered(made, &name)?,
        None => None,
    };
    let down: BTreeMap<_, _> = if let Some(columns) = columns {
        let what = format!("what breaks `{name}` of `{table}` is refused until complete");
        script.remark(what, "write in `down` what the old version sees in its place");
        columns.into_iter().map(|column| (column.clone(), text::quoted(&column))).collect()
    } else {
        let what = format!("the columns of `{name}` of `{table}` are not known here");
        let hint = "write in `down`, for each, what the old version sees in rows of the new one";
        script.remark(what, hint);
        BTreeMap::from([("placeholder".to_owned(), PLACEHOLDER.to_owned())])
    };
    let table = table.to_owned();
    script.push(DropMultiColumnConstraint { down, name, table, up: BTreeMap::new() });
    script.close();
    Ok(())
}

/// The columns of a constraint of the table; `None` if it has none of this name.
fn covered(table: &CreateTable, name: &str) -> Result<Option<Vec<String>>, Kept> {
    let generated = |column: &Column| format!("{}_{}_key", table.name, column.name);
    for column in &table.columns {
        let is_it = column.check.as_ref().is_some_and(|of| of.name == name)
            || column.references.as_ref().is_some_and(|of| of.name == name)
            || (column.is_unique && generated(column) == name);
        if is_it {
            return Ok(Some(vec![column.name.clone()]));
        }
    }
    let Some(found) = table.constraints.iter().find(|of| of.name == name) else { return Ok(None) };
    match found.constraint_type {
        Some(TableConstraintType::PrimaryKey | TableConstraintType::Exclude) => {
            Err(Kept::because("no operation drops a primary key or an exclusion"))
        }
        Some(TableConstraintType::Check) => {
            let facts = expression::facts(found.check.as_deref().unwrap_or_default());
            let facts = facts.map_err(|_| Kept::because("its expression does not read back"))?;
            Ok(Some(facts.columns.into_iter().collect()))
        }
        Some(TableConstraintType::Unique | TableConstraintType::ForeignKey) | None => {
            Ok(Some(found.columns.clone()))
        }
    }
}

/// `REPLICA_IDENTITY_*` (`pg_class.h`).
fn replica_identity(letter: &str, index: &str) -> Result<ReplicaIdentity, Kept> {
    let identity_type = match letter {
        "d" => ReplicaIdentityType::Default,
        "f" => ReplicaIdentityType::Full,
        "n" => ReplicaIdentityType::Nothing,
        "i" => ReplicaIdentityType::Index,
        _ => return Err(Kept::because("a replica identity that is not known")),
    };
    let index = Some(index.to_owned()).filter(|index| !index.is_empty());
    Ok(ReplicaIdentity { index, identity_type: Some(identity_type) })
}
