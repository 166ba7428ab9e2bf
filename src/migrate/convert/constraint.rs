//! A table's constraint: in `CREATE TABLE` and in `ALTER TABLE … ADD`.

use super::name::object_name;
use super::script::{Kept, Script};
use super::{foreign_key, text};
use crate::migrate::expression;
use crate::migrate::operation::{
    ConstraintType, CreateConstraint, CreateTable, Exclude, IndexParameters, TableConstraint,
    TableConstraintType,
};
use pg_query::NodeEnum;
use pg_query::protobuf::{ConstrType, Constraint, Node};
use std::collections::BTreeMap;

/// The constraint as `create_table` has it. `maker` is the table as far as it is made; names are
/// given that it does not have yet.
pub(super) fn of_table(
    script: &Script<'_>,
    constraint: &Constraint,
    table: &str,
    maker: Option<&CreateTable>,
) -> Result<TableConstraint, Kept> {
    if constraint.skip_validation || !constraint.is_enforced && is_enforceable(constraint) {
        return Err(Kept::because("`NOT VALID` and `NOT ENFORCED` have no field"));
    }
    if constraint.without_overlaps || !constraint.indexname.is_empty() {
        return Err(Kept::because("`USING INDEX` and `WITHOUT OVERLAPS` have no field"));
    }
    let mut of = TableConstraint {
        columns: text::words(&constraint.keys),
        is_deferrable: constraint.deferrable,
        is_initially_deferred: constraint.initdeferred,
        is_no_inherit: constraint.is_no_inherit,
        is_nulls_not_distinct: constraint.nulls_not_distinct,
        index_parameters: index_parameters(constraint)?,
        ..TableConstraint::default()
    };
    let (kind, label, named) = match ConstrType::try_from(constraint.contype) {
        Ok(ConstrType::ConstrUnique) => (TableConstraintType::Unique, "key", of.columns.clone()),
        Ok(ConstrType::ConstrPrimary) => (TableConstraintType::PrimaryKey, "pkey", Vec::new()),
        Ok(ConstrType::ConstrCheck) => {
            let check = check_text(constraint)?;
            let columns = columns_of(&check)?;
            of.check = Some(check);
            // One column gives its name, several do not (AddRelationNewConstraints, heap.c).
            let named = if columns.len() == 1 { columns } else { Vec::new() };
            (TableConstraintType::Check, "check", named)
        }
        Ok(ConstrType::ConstrForeign) => {
            of.columns = text::words(&constraint.fk_attrs);
            of.references = Some(foreign_key::reference(script, constraint, maker)?);
            (TableConstraintType::ForeignKey, "fkey", of.columns.clone())
        }
        Ok(ConstrType::ConstrExclusion) => {
            let (exclude, named) = exclude(constraint)?;
            of.exclude = Some(exclude);
            (TableConstraintType::Exclude, "excl", named)
        }
        _ => return Err(Kept::because("a constraint of this kind has no operation")),
    };
    of.constraint_type = Some(kind);
    of.name.clone_from(&constraint.conname);
    if of.name.is_empty() {
        let is_taken = |name: &str| maker.is_some_and(|maker| has_name(maker, name));
        of.name = object_name(table, &named, label, is_taken);
    }
    Ok(of)
}

/// Only these can be NOT ENFORCED; of others the parser does not set the flag.
fn is_enforceable(constraint: &Constraint) -> bool {
    let kind = ConstrType::try_from(constraint.contype);
    matches!(kind, Ok(ConstrType::ConstrCheck | ConstrType::ConstrForeign))
}

fn has_name(table: &CreateTable, name: &str) -> bool {
    table.constraints.iter().any(|of| of.name == name)
        || table.columns.iter().any(|column| {
            column.check.as_ref().is_some_and(|check| check.name == name)
                || column.references.as_ref().is_some_and(|of| of.name == name)
        })
}

/// The constraint as an operation on a table that is there: its columns keep their values.
pub(super) fn of_existing(of: TableConstraint, table: String) -> Result<CreateConstraint, Kept> {
    if of.is_deferrable || of.is_initially_deferred {
        return Err(Kept::because("`create_constraint` has no field for `DEFERRABLE`"));
    }
    if of.is_nulls_not_distinct || of.index_parameters.is_some() {
        let words = "`create_constraint` has no field for `NULLS NOT DISTINCT` and its index";
        return Err(Kept::because(words));
    }
    let constraint_type = match of.constraint_type {
        Some(TableConstraintType::Unique) => ConstraintType::Unique,
        Some(TableConstraintType::PrimaryKey) => ConstraintType::PrimaryKey,
        Some(TableConstraintType::Check) => ConstraintType::Check,
        Some(TableConstraintType::ForeignKey) => ConstraintType::ForeignKey,
        Some(TableConstraintType::Exclude) | None => {
            return Err(Kept::because("`create_constraint` knows no `EXCLUDE`"));
        }
    };
    let columns = match &of.check {
        Some(check) => columns_of(check)?,
        None => of.columns,
    };
    let kept: BTreeMap<_, _> =
        columns.iter().map(|column| (column.clone(), text::quoted(column))).collect();
    Ok(CreateConstraint {
        check: of.check,
        columns,
        down: kept.clone(),
        index_parameters: None,
        name: of.name,
        is_no_inherit: of.is_no_inherit,
        references: of.references,
        table,
        constraint_type: Some(constraint_type),
        up: kept,
    })
}

pub(super) fn check_text(constraint: &Constraint) -> Result<String, Kept> {
    let expression = constraint.raw_expr.as_ref();
    text::expression(expression.ok_or_else(|| Kept::because("a check of nothing"))?)
}

/// The columns that the expression speaks of, sorted.
fn columns_of(expression: &str) -> Result<Vec<String>, Kept> {
    let facts = expression::facts(expression)
        .map_err(|_| Kept::because("its expression does not read back"))?;
    Ok(facts.columns.into_iter().collect())
}

fn index_parameters(constraint: &Constraint) -> Result<Option<IndexParameters>, Kept> {
    let parameters = IndexParameters {
        include_columns: text::words(&constraint.including),
        storage_parameters: text::storage_parameters(&constraint.options)?,
        tablespace: Some(constraint.indexspace.clone()).filter(|name| !name.is_empty()),
    };
    Ok(Some(parameters).filter(|parameters| *parameters != IndexParameters::default()))
}

/// With the columns that give it a name.
fn exclude(constraint: &Constraint) -> Result<(Exclude, Vec<String>), Kept> {
    let (mut elements, mut named) = (Vec::new(), Vec::new());
    for pair in &constraint.exclusions {
        let Some(NodeEnum::List(pair)) = &pair.node else { return Err(not_read()) };
        let [element, operator] = pair.items.as_slice() else { return Err(not_read()) };
        let Some(NodeEnum::IndexElem(element)) = &element.node else { return Err(not_read()) };
        let name = if element.name.is_empty() { "expr" } else { &element.name };
        named.push(name.to_owned());
        let printed = text::index_element(element)?;
        elements.push(format!("{printed} WITH {}", operator_text(operator)?));
    }
    let predicate = constraint.where_clause.as_ref();
    let exclude = Exclude {
        elements: Some(elements.join(", ")),
        index_method: Some(constraint.access_method.clone()).filter(|name| !name.is_empty()),
        predicate: predicate.map(|of| text::expression(of)).transpose()?,
    };
    Ok((exclude, named))
}

fn operator_text(operator: &Node) -> Result<String, Kept> {
    let Some(NodeEnum::List(words)) = &operator.node else { return Err(not_read()) };
    match text::words(&words.items).as_slice() {
        [sign] => Ok(sign.clone()),
        [schema, sign] => Ok(format!("OPERATOR({}.{sign})", text::quoted(schema))),
        _ => Err(not_read()),
    }
}

fn not_read() -> Kept {
    Kept::because("an exclusion that is not read")
}
