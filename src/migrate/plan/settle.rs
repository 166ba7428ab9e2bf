//! What a column gets once it has its name: NOT NULL, defaults, the identity.

use crate::catalog::RelationName;
use crate::catalog::detail::{
    Column, Constraint, ConstraintKind, Identity, Sequence, Table as Detail,
};
use crate::migrate::expression;
use crate::migrate::model::{NewColumn, name};
use crate::migrate::plan::contract::{seen_name, sequence_name, set_default, source, swapped_name};
use crate::migrate::plan::expand::{Work, not_null_constraint, not_null_name};
use crate::migrate::plan::partitions;
use crate::migrate::plan::views::grant;
use crate::pg::{Ident, Literal};
use std::fmt::Write as _;

/// NOT NULL, the late default and the identity of a new column.
pub(super) fn settle(work: &Work<'_>, at: usize, column: &NewColumn) -> Vec<String> {
    let relation = work.relation().sql();
    let name = swapped_name(work.table, column);
    let mut statements = Vec::new();
    if column.not_null && !column.is_not_null_at_once {
        // No scan: the validated CHECK proves it (`NotNullImpliedByRelConstraints`).
        let named = named_not_null(&work.table.detail, column);
        for partition in partitions::all(work.model, &work.table.detail.name) {
            let Some(own) = named_not_null(partition, column).filter(|own| Some(*own) != named)
            else {
                continue;
            };
            let partition = RelationName::new(&work.model.schema, &partition.name).sql();
            let (own, name) = (Ident(own), Ident(&name));
            statements
                .push(format!("ALTER TABLE {partition} ADD CONSTRAINT {own} NOT NULL {name}"));
        }
        let named = named.map(str::to_owned);
        // A name that the server makes is made of the column's.
        let waits = name != seen_name(work.table, column) && column.replaces.is_none();
        let named = named.or_else(|| not_null_constraint(work, column).filter(|_| waits));
        statements.push(match named {
            Some(constraint) => format!(
                "ALTER TABLE {relation} ADD CONSTRAINT {} NOT NULL {}",
                Ident(&constraint),
                Ident(&name)
            ),
            None => format!("ALTER TABLE {relation} ALTER COLUMN {} SET NOT NULL", Ident(&name)),
        });
        statements.push(format!(
            "ALTER TABLE {relation} DROP CONSTRAINT {}",
            Ident(&name::not_null_check(not_null_name(column)))
        ));
    }
    if let Some(default) = &column.late_default {
        statements.push(set_default(&relation, &name, Some(default)));
    }
    if let Some(source) = source(work.table, column)
        && let Some(sequence) = &source.sequence
        && is_integer(column)
    {
        if source.identity == Identity::No {
            statements.extend(widen(sequence, column));
        } else {
            statements.extend(identity(&relation, &name, at, source, sequence, column));
        }
    }
    statements
}

/// From PostgreSQL 18 on NOT NULL has a name, which stays.
fn named_not_null<'a>(table: &'a Detail, column: &NewColumn) -> Option<&'a str> {
    let old = column.replaces.as_ref()?;
    let is_named = |one: &&Constraint| {
        let is_own = table.is_partition || !one.is_inherited;
        one.kind == ConstraintKind::NotNull && one.columns.contains(old) && is_own
    };
    table.constraints.iter().find(is_named).map(|one| one.name.as_str())
}

pub(super) fn is_integer(column: &NewColumn) -> bool {
    integer_type(&column.type_name).is_some()
}

/// The type as `format_type` names it, with its bounds.
fn integer_type(type_name: &str) -> Option<(&'static str, i64, i64)> {
    let base = expression::base_type(type_name).ok()?;
    match base.as_str() {
        "smallint" | "int2" => Some(("smallint", i64::from(i16::MIN), i64::from(i16::MAX))),
        "int" | "integer" | "int4" => Some(("integer", i64::from(i32::MIN), i64::from(i32::MAX))),
        "bigint" | "int8" => Some(("bigint", i64::MIN, i64::MAX)),
        _ => None,
    }
}

/// A serial's sequence counts as far as its column.
fn widen(sequence: &Sequence, column: &NewColumn) -> Option<String> {
    let (new, ..) = integer_type(&column.type_name)?;
    let is_other = column.has_new_type && new != sequence.type_name;
    is_other.then(|| format!("ALTER SEQUENCE {} AS {new}", sequence_name(sequence)))
}

fn identity(
    relation: &str,
    column: &str,
    at: usize,
    source: &Column,
    sequence: &Sequence,
    new: &NewColumn,
) -> Vec<String> {
    let kind = if source.identity == Identity::Always { "ALWAYS" } else { "BY DEFAULT" };
    let name = sequence_name(sequence);
    let mut options = format!("SEQUENCE NAME {name} INCREMENT BY {}", sequence.increment);
    let old = integer_type(&sequence.type_name);
    let (lowest, highest) = old.map_or((i64::MIN, i64::MAX), |(_, low, high)| (low, high));
    // A bound that was the type's stays the type's, of the new type.
    if sequence.min != lowest {
        let _ = write!(options, " MINVALUE {}", sequence.min);
    }
    if sequence.max != highest || !new.has_new_type {
        let _ = write!(options, " MAXVALUE {}", sequence.max);
    }
    let _ = write!(options, " START WITH {} CACHE {}", sequence.start, sequence.cache);
    if sequence.cycle {
        options.push_str(" CYCLE");
    }
    let state = format!("pg_catalog.current_setting('backlot.sequence_{at}')");
    let mut statements = vec![
        format!(
            "ALTER TABLE {relation} ALTER COLUMN {} ADD GENERATED {kind} AS IDENTITY ({options})",
            Ident(column)
        ),
        format!(
            "SELECT pg_catalog.setval({}, pg_catalog.split_part({state}, ' ', 1)::bigint, pg_catalog.split_part({state}, ' ', 2)::boolean)",
            Literal(&name)
        ),
    ];
    let on = format!("SEQUENCE {name}");
    statements.extend(sequence.grants.iter().map(|one| grant(one, None, &on)));
    if let Some(comment) = &sequence.comment {
        statements.push(format!("COMMENT ON SEQUENCE {name} IS {}", Literal(comment)));
    }
    statements
}
