//! A second column in the place of one: what `alter_column` and the constraint operations do to
//! keep the old version's values beside the new one's.

use crate::migrate::expression;
use crate::migrate::model::{Call, NewColumn, Pair, name};
use crate::migrate::plan::draft::{Direction, Draft, Wanted};
use crate::migrate::plan::{Finding, FindingKind};
use crate::pg::Ident;

/// How the new column's value comes from the old one's and back. `None`: as it is.
pub(super) struct Conversion<'a> {
    pub(super) up: Option<(&'a str, &'a str)>,
    pub(super) down: Option<(&'a str, &'a str)>,
    pub(super) new_type: Option<&'a str>,
}

/// Replaces the column in the model, or converts once more what replaces it already. Gives the
/// physical name of the new column.
pub(super) fn replace(
    draft: &mut Draft,
    at: usize,
    table: &str,
    column: &str,
    conversion: &Conversion<'_>,
) -> Result<String, Finding> {
    let found = draft.table(at, table)?;
    let Some(before) = found.column(column).cloned() else {
        return Err(super::no_column(at, table, column));
    };
    let environment = found.up_environment();
    let was_new = found.new_column(&before.physical).is_some();
    if !was_new {
        check_replaceable(draft, at, table, &before.key)?;
    }
    let type_name = conversion.new_type.unwrap_or(&before.type_name).to_owned();

    let as_it_is = environment.get(column).map(|(_, call)| call.clone());
    let as_it_is = as_it_is.unwrap_or_else(|| Call::Column(before.physical.clone()));
    let wanted = |field, expression, environment, returns, direction| Wanted {
        at,
        table,
        column,
        field,
        expression,
        environment,
        returns,
        direction,
    };
    let up = match conversion.up {
        Some((field, text)) => {
            draft.function(&wanted(field, text, &environment, &type_name, Direction::Up))?
        }
        None => as_it_is,
    };
    let physical = if was_new { before.physical.clone() } else { name::new_column(&before.key) };
    let changed = draft.change(at, table);
    if let Some(seen) = changed.column_mut(column) {
        seen.physical.clone_from(&physical);
        seen.type_name.clone_from(&type_name);
    }
    let environment = changed.down_environment();
    let down = match conversion.down {
        Some((field, text)) => draft.function(&wanted(
            field,
            text,
            &environment,
            &before.type_name,
            Direction::Down,
        ))?,
        None => Call::Column(physical.clone()),
    };
    if was_new {
        convert_again(draft, at, table, &physical, (up, down), conversion.new_type);
    } else {
        add(draft, at, table, &before.key, &physical, (up, down), conversion.new_type);
    }
    Ok(physical)
}

fn add(
    draft: &mut Draft,
    at: usize,
    table: &str,
    old: &str,
    physical: &str,
    (up, down): (Call, Call),
    new_type: Option<&str>,
) {
    let changed = draft.change(at, table);
    let Some(source) = changed.detail.column(old).cloned() else { return };
    // A default that draws from a sequence stays with the old column until complete: drawing for
    // both would use up two numbers a row.
    let is_integer = new_type.is_none_or(|new| {
        let base = expression::base_type(new).unwrap_or_default();
        matches!(
            base.as_str(),
            "smallint" | "int2" | "int" | "integer" | "int4" | "bigint" | "int8"
        )
    });
    let draws = source.sequence.is_some() && is_integer;
    let default = source.default.clone().filter(|_| !draws);
    let is_alike = new_type.is_none_or(|new| are_alike(new, &source.type_name));
    let collation = match (&source.collation_schema, &source.collation_name) {
        (Some(schema), Some(name)) if is_alike => {
            Some(format!("{}.{}", Ident(schema), Ident(name)))
        }
        (Some(_) | None, Some(_) | None) => None,
    };
    changed.new_columns.push(NewColumn {
        operation: at,
        physical: physical.to_owned(),
        replaces: Some(old.to_owned()),
        type_name: new_type.unwrap_or(&source.type_name).to_owned(),
        has_new_type: new_type.is_some(),
        is_alike,
        collation,
        not_null: source.not_null,
        has_old_default: default.is_some(),
        default,
        late_default: source.default.clone().filter(|_| draws),
        comment: source.comment.clone(),
        ..NewColumn::default()
    });
    changed.pairs.push(Pair {
        old: Some(old.to_owned()),
        new: Some(physical.to_owned()),
        up: Some(up),
        down: Some(down),
        old_draws: draws,
    });
}

/// True if collation, storage and compression of one type mean the same for the other.
fn are_alike(one: &str, other: &str) -> bool {
    let base = |text: &str| expression::base_type(text).unwrap_or_default();
    let is_text = |base: &str| matches!(base, "text" | "varchar" | "pg_catalog.bpchar");
    let (one, other) = (base(one), base(other));
    one == other || (is_text(&one) && is_text(&other))
}

fn convert_again(
    draft: &mut Draft,
    at: usize,
    table: &str,
    physical: &str,
    (up, down): (Call, Call),
    new_type: Option<&str>,
) {
    let changed = draft.change(at, table);
    if let Some(new) = changed.new_column_mut(physical)
        && let Some(type_name) = new_type
    {
        let is_alike = are_alike(type_name, &new.type_name);
        type_name.clone_into(&mut new.type_name);
        new.has_new_type = true;
        new.is_alike &= is_alike;
        new.collation = new.collation.take().filter(|_| is_alike);
    }
    match changed.pairs.iter_mut().find(|pair| pair.new.as_deref() == Some(physical)) {
        Some(pair) => {
            pair.up = Some(up);
            pair.down = pair.down.as_ref().map(|first| first.substituted(physical, &down));
        }
        // An added column without an `up` of its own.
        None => changed.pairs.push(Pair {
            old: None,
            new: Some(physical.to_owned()),
            up: Some(up),
            down: None,
            old_draws: false,
        }),
    }
}

fn check_replaceable(draft: &Draft, at: usize, table: &str, key: &str) -> Result<(), Finding> {
    let found = draft.table(at, table)?;
    let physical = name::new_column(key);
    if found.detail.column(&physical).is_some() {
        return Err(super::left_behind(at, table, &physical));
    }
    let refused = |words: String| {
        Finding::new(FindingKind::DependentObject, at, words).table(table).column(key)
    };
    let is_generated = found.detail.column(key).is_some_and(|column| column.generated.is_some());
    if is_generated {
        return Err(refused(format!("column {key:?} is generated: it has no values of its own")));
    }
    if found.detail.columns.iter().any(|column| column.name == key && column.is_inherited) {
        return Err(refused(format!("column {key:?} comes from a parent table: change it there")));
    }
    if let Some(what) = super::blocking(&draft.model, found, key, true).first() {
        return Err(refused(format!(
            "{what} depends on column {key:?}: drop it before the migration and make it again after"
        )));
    }
    Ok(())
}
