//! `add_column`: a column that only the new version sees, filled by `up` in the old one's rows.

use super::{create_table, definition, on_new_table};
use crate::catalog::detail::ConstraintKind;
use crate::migrate::expression;
use crate::migrate::model::{self, AddedConstraint, ConstraintBody, NewColumn, Pair, name};
use crate::migrate::operation::{AddColumn, ForeignKeyReference};
use crate::migrate::plan::draft::{Applied, Direction, Draft, Wanted, is_serial};
use crate::migrate::plan::{Finding, FindingKind};
use crate::pg::{Ident, Literal};

pub(super) fn apply(draft: &mut Draft, at: usize, body: &AddColumn) -> Applied {
    let one = |finding: Finding| vec![finding];
    let column = &body.column;
    let table = draft.table(at, &body.table).map_err(one)?;
    if table.column(&column.name).is_some() {
        return Err(vec![super::column_exists(at, &body.table, &column.name)]);
    }
    let mut findings = definition::check_column(at, &body.table, "column", column);
    if column.is_primary_key {
        let words = "adding primary key columns is not supported".to_owned();
        findings.push(Finding::new(FindingKind::InvalidMigration, at, words).field("column.pk"));
    }
    if let Some(check) = &column.check
        && table.constraint(&check.name).is_some()
    {
        findings.push(super::constraint_exists(at, &body.table, &check.name));
    }
    let has_value = column.is_nullable
        || column.default.is_some()
        || column.generated.is_some()
        || is_serial(&column.type_name);
    if !has_value && body.up.is_none() && !table.is_new {
        findings.push(Finding::required(at, "up").table(&body.table).column(&column.name));
    }
    if !findings.is_empty() {
        return Err(findings);
    }
    if table.is_new {
        return add_to_new_table(draft, at, body).map_err(one);
    }
    let physical = name::new_column(&column.name);
    if table.detail.column(&physical).is_some() {
        return Err(vec![super::left_behind(at, &body.table, &physical)]);
    }
    add(draft, at, body, &physical).map_err(one)
}

fn add(draft: &mut Draft, at: usize, body: &AddColumn, physical: &str) -> Result<(), Finding> {
    let column = &body.column;
    draft.check_type(at, &body.table, &column.name, ("column.type", &column.type_name))?;
    let mut new = new_column(draft, at, body, physical)?;
    let up = up(draft, at, body, &new)?;
    if new.is_not_null_at_once {
        new.not_null = true;
    }
    let mut seen = create_table::column_of(column);
    physical.clone_into(&mut seen.physical);
    physical.clone_into(&mut seen.key);
    seen.not_null = new.not_null;
    let table = draft.change(at, &body.table);
    table.new_columns.push(new);
    table.columns.push(seen);
    if up.is_some() {
        let new = Some(physical.to_owned());
        table.pairs.push(Pair { old: None, new, up, down: None, old_draws: false });
    }
    add_constraints(draft, at, body, physical)
}

fn new_column(
    draft: &mut Draft,
    at: usize,
    body: &AddColumn,
    physical: &str,
) -> Result<NewColumn, Finding> {
    let column = &body.column;
    let table_name = draft.table(at, &body.table)?.physical.clone();
    let mut new = NewColumn {
        operation: at,
        physical: physical.to_owned(),
        type_name: column.type_name.clone(),
        not_null: !column.is_nullable,
        comment: column.comment.clone(),
        ..NewColumn::default()
    };
    if let Some(default) = &column.default {
        let field = ("column.default", default.as_str());
        draft.check_default(at, &body.table, &column.name, field, &column.type_name)?;
        if is_volatile(draft, at, default)? {
            if body.up.as_deref() != Some(default) {
                let words = format!(
                    "default of column {:?} is another value in each row: `up` must be the same expression",
                    column.name
                );
                let kind = FindingKind::UpSqlMustBeColumnDefault;
                return Err(Finding::new(kind, at, words)
                    .table(&body.table)
                    .column(&column.name)
                    .field("up"));
            }
            new.default = Some(default.clone());
        } else {
            new.instant_default = Some(default.clone());
            new.is_not_null_at_once = new.not_null;
        }
    }
    if is_serial(&column.type_name) {
        let sequence = name::conventional(&table_name, &column.name, "seq");
        let sequence = super::free_name(draft, &sequence);
        serial_type(&column.type_name).clone_into(&mut new.type_name);
        new.default = Some(next_value(draft, &sequence));
        new.sequence = Some(sequence);
        new.not_null = true;
    }
    if let Some(generated) = &column.generated {
        let expression = match &generated.expression {
            Some(text) => {
                Some(draft.condition_type(at, &body.table, "column.generated.expression", text)?)
            }
            None => None,
        };
        let mut generated = generated.clone();
        if let Some(identity) = &mut generated.identity {
            // An identity column is NOT NULL by itself.
            new.not_null = true;
            let sequence = name::conventional(&table_name, &column.name, "seq");
            let sequence = super::free_name(draft, &sequence);
            name_sequence(&mut identity.sequence_options, &draft.sql(&sequence));
        }
        new.generated = Some(definition::generated(&generated, expression.as_deref()));
        new.rewrites = true;
        // Generated for every row at once.
        new.is_not_null_at_once = new.not_null;
    }
    Ok(new)
}

/// The value in rows of the old version.
fn up(
    draft: &mut Draft,
    at: usize,
    body: &AddColumn,
    new: &NewColumn,
) -> Result<Option<model::Call>, Finding> {
    let next = new.sequence.as_ref().map(|sequence| next_value(draft, sequence));
    let Some(expression) = body.up.as_ref().or(next.as_ref()) else { return Ok(None) };
    if body.column.generated.is_some() {
        return Ok(None);
    }
    if body.up.is_none() {
        // The sequence is made by the same step: the server cannot check it before.
        draft.unknown_sequence = true;
    }
    let environment = draft.table(at, &body.table)?.up_environment();
    let wanted = Wanted {
        at,
        table: &body.table,
        column: &body.column.name,
        field: "up",
        expression,
        environment: &environment,
        returns: &new.type_name,
        direction: Direction::Up,
    };
    let call = draft.function(&wanted);
    draft.unknown_sequence = false;
    call.map(Some)
}

fn add_constraints(
    draft: &mut Draft,
    at: usize,
    body: &AddColumn,
    physical: &str,
) -> Result<(), Finding> {
    let column = &body.column;
    let columns = vec![physical.to_owned()];
    if let Some(check) = &column.check {
        let field = "column.check.constraint";
        let expression = draft.condition(at, &body.table, field, &check.constraint)?;
        let body_of = ConstraintBody::Check { expression, is_no_inherit: check.is_no_inherit };
        super::add_constraint(draft, at, &body.table, &check.name, body_of, columns.clone());
    }
    if let Some(reference) = &column.references {
        check_reference(draft, at, body, reference)?;
        let of_table = definition::of_table(reference);
        let (definition, referenced) = definition::foreign_key(draft, &columns, &of_table)?;
        let deferrable =
            definition::deferrable(reference.is_deferrable, reference.is_initially_deferred);
        let definition = format!("{definition}{deferrable}");
        let body_of = ConstraintBody::ForeignKey { definition, referenced };
        super::add_constraint(draft, at, &body.table, &reference.name, body_of, columns.clone());
    }
    if column.is_unique {
        let table = draft.table(at, &body.table)?;
        let name =
            super::free_name(draft, &name::conventional(&table.physical, &column.name, "key"));
        let index = name::unique_index(&table.physical, &column.name);
        let suffix = String::new();
        let body_of = ConstraintBody::Unique { columns: columns.clone(), suffix, index };
        super::add_constraint(draft, at, &body.table, &name, body_of, columns);
    }
    Ok(())
}

fn check_reference(
    draft: &Draft,
    at: usize,
    body: &AddColumn,
    reference: &ForeignKeyReference,
) -> Result<(), Finding> {
    let column = (body.table.as_str(), body.column.name.as_str());
    definition::check_column_reference(draft, at, "column.references", column, reference)
}

fn add_to_new_table(draft: &mut Draft, at: usize, body: &AddColumn) -> Result<(), Finding> {
    let column = &body.column;
    draft.check_type(at, &body.table, &column.name, ("column.type", &column.type_name))?;
    let physical = draft.table(at, &body.table)?.physical.clone();
    draft.change(at, &body.table).columns.push(create_table::column_of(column));
    let mut sql = format!("ADD COLUMN {}", definition::column(column));
    if column.is_unique {
        sql.push_str(" UNIQUE");
    }
    let mut parts = vec![sql];
    if let Some(check) = &column.check {
        draft.condition(at, &body.table, "column.check.constraint", &check.constraint)?;
        let check = definition::check(&check.name, &check.constraint, check.is_no_inherit);
        parts.push(format!("ADD {check}"));
    }
    if let Some(reference) = &column.references {
        check_reference(draft, at, body, reference)?;
        let of_table = definition::of_table(reference);
        let columns = std::slice::from_ref(&column.name);
        let (definition, referenced) = definition::foreign_key(draft, columns, &of_table)?;
        let body_of = ConstraintBody::ForeignKey { definition, referenced };
        let constraint = AddedConstraint {
            operation: at,
            name: reference.name.clone(),
            physical: reference.name.clone(),
            body: body_of,
            columns: columns.to_vec(),
        };
        let table = draft.change(at, &body.table);
        table.added_constraints.push(constraint);
        let (name, columns) = (reference.name.clone(), columns.to_vec());
        table.constraints.push(model::Constraint {
            name,
            kind: ConstraintKind::ForeignKey,
            columns,
        });
    }
    on_new_table::alter(draft, at, &physical, "add-column", &parts);
    if let Some(comment) = &column.comment {
        let column = format!("{}.{}", draft.sql(&physical), Ident(&column.name));
        let comment = format!("COMMENT ON COLUMN {column} IS {}", Literal(comment));
        on_new_table::run(draft, at, &physical, "add-column-comment", vec![comment]);
    }
    Ok(())
}

/// True if ADD COLUMN with this default would write the table anew (`contain_volatile_functions`
/// in `ATExecAddColumn`).
fn is_volatile(draft: &Draft, at: usize, default: &str) -> Result<bool, Finding> {
    let facts = expression::facts(default)
        .map_err(|error| Finding::syntax(at, "column.default", &error))?;
    Ok(facts.functions.iter().any(|name| draft.model.volatile_functions().contains(name)))
}

/// Its name would be made of the column's until complete.
fn name_sequence(options: &mut Option<String>, sequence: &str) {
    let given = options.as_deref().unwrap_or_default();
    if !given.to_ascii_lowercase().contains("sequence name") {
        *options = Some(format!("SEQUENCE NAME {sequence} {given}").trim_end().to_owned());
    }
}

fn next_value(draft: &Draft, sequence: &str) -> String {
    format!("pg_catalog.nextval({}::pg_catalog.regclass)", Literal(&draft.sql(sequence)))
}

fn serial_type(type_name: &str) -> &'static str {
    match type_name.trim().to_ascii_lowercase().as_str() {
        "bigserial" | "serial8" => "bigint",
        "smallserial" | "serial2" => "smallint",
        // serial and serial4: `is_serial` knows no more.
        _ => "integer",
    }
}
