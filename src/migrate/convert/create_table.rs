//! `CREATE TABLE`, and a column definition, which `ALTER TABLE … ADD COLUMN` shares.

use super::script::{Kept, Script};
use super::{constraint, foreign_key, text};
use crate::migrate::operation::{
    CheckConstraint, Column, CreateTable, ForeignKeyReference, Generated, Identity,
    TableConstraint, UserSpecifiedValues,
};
use pg_query::NodeEnum;
use pg_query::protobuf::{ColumnDef, ConstrType, Constraint, CreateStmt};

const SERIAL_TYPES: [&str; 6] =
    ["serial", "bigserial", "smallserial", "serial2", "serial4", "serial8"];

pub(super) fn convert(script: &mut Script<'_>, create: &CreateStmt) -> Result<(), Kept> {
    let relation = create.relation.as_ref();
    let refused = [
        (relation.is_some_and(|of| of.relpersistence != "p"), "a temporary or unlogged table"),
        (!create.inh_relations.is_empty(), "inheritance and partitions"),
        (create.partspec.is_some() || create.partbound.is_some(), "partitions"),
        (create.of_typename.is_some(), "a table of a type"),
        (!create.options.is_empty(), "storage parameters of a table"),
        (!create.tablespacename.is_empty(), "a table's tablespace"),
        (!create.access_method.is_empty(), "a table's access method"),
    ];
    if let Some((_, what)) = refused.iter().find(|(is_so, _)| *is_so) {
        return Err(Kept::because(format!("`create_table` has no field for {what}")));
    }
    let mut table = CreateTable { name: script.table_name(relation)?, ..CreateTable::default() };
    // A constraint of a column may speak of another column only as one of the table.
    for element in &create.table_elts {
        match &element.node {
            Some(NodeEnum::ColumnDef(definition)) => {
                let (column, apart) = column(script, definition, &table)?;
                table.columns.push(column);
                table.constraints.extend(apart);
            }
            Some(NodeEnum::Constraint(of)) => {
                let of = constraint::of_table(script, of, &table.name, Some(&table))?;
                table.constraints.push(of);
            }
            _ => return Err(Kept::because("`LIKE` takes what only the server knows")),
        }
    }
    for column in foreign_key::primary_key(&table) {
        if let Some(column) = table.columns.iter_mut().find(|of| of.name == column) {
            column.is_nullable = false;
        }
    }
    if create.if_not_exists {
        script.remark("`IF NOT EXISTS` is left out", "the migration is refused if it exists");
    }
    script.push(table);
    Ok(())
}

/// The column, and what of its constraints only a constraint of the table can say.
pub(super) fn column(
    script: &mut Script<'_>,
    definition: &ColumnDef,
    table: &CreateTable,
) -> Result<(Column, Vec<TableConstraint>), Kept> {
    if definition.coll_clause.is_some() {
        return Err(Kept::because("a column's collation has no field"));
    }
    if !definition.storage_name.is_empty() || !definition.compression.is_empty() {
        return Err(Kept::because("a column's storage and compression have no field"));
    }
    let type_name = definition.type_name.as_ref();
    let type_name = type_name.ok_or_else(|| Kept::because("a column without a type"))?;
    let mut column = Column {
        name: definition.colname.clone(),
        type_name: text::type_name(type_name)?,
        is_nullable: true,
        ..Column::default()
    };
    column.is_nullable = !SERIAL_TYPES.contains(&column.type_name.as_str());
    let mut apart = Vec::new();
    for of in with_attributes(definition)? {
        add(script, &of, &mut column, table, &mut apart)?;
    }
    Ok((column, apart))
}

/// The column's constraints; DEFERRABLE and its like stand behind theirs (gram.y, `ConstraintAttr`).
fn with_attributes(definition: &ColumnDef) -> Result<Vec<Constraint>, Kept> {
    let mut constraints: Vec<Constraint> = Vec::new();
    for node in &definition.constraints {
        let Some(NodeEnum::Constraint(of)) = &node.node else {
            return Err(Kept::because("a constraint that is not read"));
        };
        let last = constraints.last_mut();
        match (ConstrType::try_from(of.contype), last) {
            (Ok(ConstrType::ConstrAttrDeferrable), Some(last)) => last.deferrable = true,
            (Ok(ConstrType::ConstrAttrDeferred), Some(last)) => {
                last.deferrable = true;
                last.initdeferred = true;
            }
            (
                Ok(
                    ConstrType::ConstrAttrNotDeferrable
                    | ConstrType::ConstrAttrImmediate
                    | ConstrType::ConstrAttrEnforced,
                ),
                Some(_),
            ) => {}
            (Ok(ConstrType::ConstrAttrNotEnforced), Some(last)) => last.is_enforced = false,
            _ => constraints.push((**of).clone()),
        }
    }
    Ok(constraints)
}

fn add(
    script: &mut Script<'_>,
    of: &Constraint,
    column: &mut Column,
    table: &CreateTable,
    apart: &mut Vec<TableConstraint>,
) -> Result<(), Kept> {
    match ConstrType::try_from(of.contype) {
        Ok(ConstrType::ConstrNull) => column.is_nullable = true,
        Ok(ConstrType::ConstrNotnull) => {
            if !of.conname.is_empty() {
                let words = format!("the name `{}` of a NOT NULL is left out", of.conname);
                script.remark(words, "PostgreSQL gives it one");
            }
            column.is_nullable = false;
        }
        Ok(ConstrType::ConstrDefault) => {
            let value =
                of.raw_expr.as_ref().ok_or_else(|| Kept::because("a default of nothing"))?;
            column.default = Some(text::expression(value)?);
        }
        Ok(ConstrType::ConstrIdentity) => {
            column.is_nullable = false;
            column.generated = Some(identity(of)?);
        }
        Ok(ConstrType::ConstrGenerated) => column.generated = Some(generated(of)?),
        Ok(ConstrType::ConstrCheck) => add_check(script, of, column, table, apart)?,
        Ok(ConstrType::ConstrPrimary | ConstrType::ConstrUnique) => {
            add_key(script, of, column, table, apart)?;
        }
        Ok(ConstrType::ConstrForeign) => add_reference(script, of, column, table, apart)?,
        _ => return Err(Kept::because("a constraint of this kind has no field")),
    }
    Ok(())
}

fn identity(of: &Constraint) -> Result<Generated, Kept> {
    // ATTRIBUTE_IDENTITY_* (pg_attribute.h).
    let values = if of.generated_when == "a" {
        UserSpecifiedValues::Always
    } else {
        UserSpecifiedValues::ByDefault
    };
    let identity = Identity {
        sequence_options: text::sequence_options(&of.options)?,
        user_specified_values: Some(values),
    };
    Ok(Generated { identity: Some(identity), expression: None })
}

fn generated(of: &Constraint) -> Result<Generated, Kept> {
    if of.generated_kind == "v" {
        return Err(Kept::because("a virtual generated column has no field"));
    }
    let value = of.raw_expr.as_ref().ok_or_else(|| Kept::because("generated from nothing"))?;
    Ok(Generated { expression: Some(text::expression(value)?), identity: None })
}

fn add_check(
    script: &Script<'_>,
    of: &Constraint,
    column: &mut Column,
    table: &CreateTable,
    apart: &mut Vec<TableConstraint>,
) -> Result<(), Kept> {
    let so_far = with(table, column, apart);
    let whole = constraint::of_table(script, of, &table.name, Some(&so_far))?;
    if column.check.is_none()
        && let Some(constraint) = whole.check.clone()
    {
        let is_no_inherit = whole.is_no_inherit;
        column.check = Some(CheckConstraint { constraint, name: whole.name, is_no_inherit });
    } else {
        apart.push(whole);
    }
    Ok(())
}

/// A key that says no more than that it is one is a flag of the column.
fn add_key(
    script: &Script<'_>,
    of: &Constraint,
    column: &mut Column,
    table: &CreateTable,
    apart: &mut Vec<TableConstraint>,
) -> Result<(), Kept> {
    let is_primary = of.contype == ConstrType::ConstrPrimary as i32;
    let of = Constraint { keys: vec![text::word(&column.name)], ..of.clone() };
    let so_far = with(table, column, apart);
    let whole = constraint::of_table(script, &of, &table.name, Some(&so_far))?;
    let says_more = !of.conname.is_empty()
        || whole.is_deferrable
        || whole.is_nulls_not_distinct
        || whole.index_parameters.is_some();
    if is_primary {
        column.is_nullable = false;
    }
    if says_more {
        apart.push(whole);
    } else if is_primary {
        column.is_primary_key = true;
    } else {
        column.is_unique = true;
    }
    Ok(())
}

fn add_reference(
    script: &Script<'_>,
    of: &Constraint,
    column: &mut Column,
    table: &CreateTable,
    apart: &mut Vec<TableConstraint>,
) -> Result<(), Kept> {
    let of = Constraint { fk_attrs: vec![text::word(&column.name)], ..of.clone() };
    let so_far = with(table, column, apart);
    let whole = constraint::of_table(script, &of, &table.name, Some(&so_far))?;
    match &whole.references {
        Some(to) if column.references.is_none() && to.on_delete_set_columns.is_empty() => {
            column.references = Some(ForeignKeyReference {
                column: to.columns.first().cloned().unwrap_or_default(),
                is_deferrable: whole.is_deferrable,
                is_initially_deferred: whole.is_initially_deferred,
                match_type: to.match_type,
                name: whole.name,
                on_delete: to.on_delete,
                on_update: to.on_update,
                table: to.table.clone(),
            });
        }
        _ => apart.push(whole),
    }
    Ok(())
}

/// The table with the column that is being made.
fn with(table: &CreateTable, column: &Column, apart: &[TableConstraint]) -> CreateTable {
    let mut so_far = table.clone();
    so_far.columns.push(column.clone());
    so_far.constraints.extend_from_slice(apart);
    so_far
}
