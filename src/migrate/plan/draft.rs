//! The plan while the operations are applied one after another.

use crate::catalog::RelationName;
use crate::migrate::expression::{self, SyntaxError};
use crate::migrate::model::{Call, Function, Model, Parameter, Table, name};
use crate::migrate::plan::{Check, Finding, FindingKind, Lock, LockMode, Step};
use crate::pg::Ident;
use std::collections::BTreeSet;

/// `FUNC_MAX_ARGS` (`pg_config_manual.h`): an expression may read so many columns.
const MAX_PARAMETERS: usize = 100;

pub(super) struct Draft {
    pub(super) model: Model,
    /// Steps of start that are an operation's own, by operation.
    pub(super) start: Vec<Step>,
    /// Steps after the backfill that are an operation's own.
    pub(super) late: Vec<Step>,
    /// Steps of complete that are an operation's own, before and after the tables are swapped.
    pub(super) complete_first: Vec<Step>,
    pub(super) complete: Vec<Step>,
    /// What takes the operations' own steps back, in their order.
    pub(super) rollback: Vec<Step>,
    pub(super) checks: Vec<Check>,
    pub(super) must_reload: bool,
    pub(super) must_refresh: bool,
    /// Tables made by this migration: sub-queries over them cannot be checked before.
    pub(super) unknown_tables: BTreeSet<String>,
    /// The expression at hand draws from a sequence that start makes: it cannot be checked before.
    pub(super) unknown_sequence: bool,
}

pub(super) type Applied = Result<(), Vec<Finding>>;

impl Draft {
    pub(super) fn new(model: Model) -> Self {
        Self {
            model,
            start: Vec::new(),
            late: Vec::new(),
            complete_first: Vec::new(),
            complete: Vec::new(),
            rollback: Vec::new(),
            checks: Vec::new(),
            must_reload: false,
            must_refresh: false,
            unknown_tables: BTreeSet::new(),
            unknown_sequence: false,
        }
    }

    pub(super) fn relation(&self, name: &str) -> RelationName {
        RelationName::new(&self.model.schema, name)
    }

    /// The quoted name of something in the schema.
    pub(super) fn sql(&self, name: &str) -> String {
        self.relation(name).sql()
    }

    /// # Errors
    /// If the new version has no such table.
    pub(super) fn table(&self, at: usize, table: &str) -> Result<&Table, Finding> {
        let no_table = || {
            Finding::new(
                FindingKind::TableDoesNotExist,
                at,
                format!("table {table:?} does not exist"),
            )
            .table(table)
        };
        self.model.tables.get(table).ok_or_else(no_table)
    }

    /// The table, to change it. Call after [`Draft::table`] found it.
    pub(super) fn change(&mut self, at: usize, table: &str) -> &mut Table {
        let table = self.model.tables.get_mut(table).expect("the operation has looked it up");
        if !table.is_new {
            table.first_operation.get_or_insert(at);
        }
        table
    }

    /// Makes a function of `up` or `down` and gives the value that it computes.
    pub(super) fn function(&mut self, wanted: &Wanted<'_>) -> Result<Call, Finding> {
        let Wanted { at, table, field, expression: text, .. } = *wanted;
        let refused = |error: SyntaxError| {
            Finding::syntax(at, field, &error).table(table).column(wanted.column)
        };
        let facts = expression::facts(text).map_err(refused)?;
        let returns = expression::base_type(wanted.returns).map_err(refused)?;
        let environment = wanted.environment;
        let known: Vec<&String> =
            facts.columns.iter().filter(|name| environment.contains_key(*name)).collect();
        if let Some(column) = self.generated(at, table, &known)? {
            let words = format!(
                "{field} reads column {column:?}, which is generated after the triggers: write its expression"
            );
            let kind = FindingKind::InvalidExpression;
            let finding = Finding::new(kind, at, words).table(table).column(wanted.column);
            return Err(finding.field(field));
        }
        if known.len() > MAX_PARAMETERS {
            let words = format!("{field} reads more than {MAX_PARAMETERS} columns");
            return Err(Finding::new(FindingKind::InvalidExpression, at, words).table(table));
        }
        if let [only] = known.as_slice()
            && let Some((type_name, call)) = environment.get(*only)
            && is_column(text, only)
            && expression::base_type(type_name).is_ok_and(|from| from == returns)
        {
            return Ok(call.clone());
        }
        let mut parameters = Vec::new();
        let mut arguments = Vec::new();
        for name in known {
            let Some((type_name, call)) = environment.get(name) else { continue };
            let type_name = expression::base_type(type_name).map_err(refused)?;
            parameters.push(Parameter { name: name.clone(), type_name });
            arguments.push(call.clone());
        }
        let physical = &self.table(at, table)?.physical;
        let name = match wanted.direction {
            Direction::Up => name::up_function(at, physical, wanted.column),
            Direction::Down => name::down_function(at, physical, wanted.column),
        };
        let function = Function {
            name: name.clone(),
            operation: at,
            field: field.to_owned(),
            parameters,
            returns,
            expression: text.to_owned(),
            is_literal: expression::is_literal(text).map_err(refused)?,
        };
        self.check_function(table, Some(wanted.column), &function, &facts.tables);
        self.change(at, table).functions.push(function);
        Ok(Call::Function { name, arguments })
    }

    /// A generated column among those of the table: a trigger before the row does not see it.
    fn generated(
        &self,
        at: usize,
        table: &str,
        names: &[&String],
    ) -> Result<Option<String>, Finding> {
        let found = self.table(at, table)?;
        let is_generated = |name: &&&String| found.column(name).is_some_and(|one| one.is_generated);
        Ok(names.iter().find(is_generated).map(ToString::to_string))
    }

    /// An expression over the new version's columns that is no column's value: a CHECK, the
    /// predicate of an index. Gives it over the physical columns.
    pub(super) fn condition(
        &mut self,
        at: usize,
        table: &str,
        field: &str,
        text: &str,
    ) -> Result<String, Finding> {
        let refused = |error: SyntaxError| Finding::syntax(at, field, &error).table(table);
        let facts = expression::facts(text).map_err(refused)?;
        if facts.has_subquery {
            let words = "a condition on rows cannot hold a query".to_owned();
            return Err(Finding::new(FindingKind::CheckConstraintError, at, words)
                .table(table)
                .field(field));
        }
        let found = self.table(at, table)?;
        let parameters = found
            .columns
            .iter()
            .filter(|column| facts.columns.contains(&column.name))
            .map(|column| {
                let type_name = expression::base_type(&column.type_name).map_err(refused)?;
                Ok(Parameter { name: column.name.clone(), type_name })
            })
            .collect::<Result<Vec<_>, Finding>>()?;
        let renamed = expression::rename_columns(text, &found.physical_names()).map_err(refused)?;
        let function = Function {
            name: String::new(),
            operation: at,
            field: field.to_owned(),
            parameters,
            returns: "boolean".to_owned(),
            expression: text.to_owned(),
            is_literal: false,
        };
        self.check_function(table, None, &function, &facts.tables);
        Ok(renamed)
    }

    /// The expression of a generated column, over the physical columns.
    pub(super) fn condition_type(
        &mut self,
        at: usize,
        table: &str,
        field: &str,
        text: &str,
    ) -> Result<String, Finding> {
        let refused = |error: SyntaxError| Finding::syntax(at, field, &error).table(table);
        expression::check_expression(text).map_err(refused)?;
        let names = self.table(at, table)?.physical_names();
        expression::rename_columns(text, &names).map_err(refused)
    }

    /// A default: an expression that reads no column.
    pub(super) fn check_default(
        &mut self,
        at: usize,
        table: &str,
        column: &str,
        (field, text): (&str, &str),
        type_name: &str,
    ) -> Result<(), Finding> {
        let refused =
            |error: SyntaxError| Finding::syntax(at, field, &error).table(table).column(column);
        let facts = expression::facts(text).map_err(refused)?;
        let function = Function {
            name: String::new(),
            operation: at,
            field: field.to_owned(),
            parameters: Vec::new(),
            returns: expression::base_type(type_name).map_err(refused)?,
            expression: text.to_owned(),
            is_literal: expression::is_literal(text).map_err(refused)?,
        };
        self.check_function(table, Some(column), &function, &facts.tables);
        Ok(())
    }

    pub(super) fn check_type(
        &mut self,
        at: usize,
        table: &str,
        column: &str,
        (field, text): (&str, &str),
    ) -> Result<(), Finding> {
        let refused =
            |error: SyntaxError| Finding::syntax(at, field, &error).table(table).column(column);
        expression::check_type(text).map_err(refused)?;
        if is_serial(text) {
            return Ok(());
        }
        let head = "SELECT NULL::";
        self.checks.push(Check {
            operation: at,
            field: field.to_owned(),
            table: table.to_owned(),
            column: Some(column.to_owned()),
            sql: format!("{head}{text}"),
            offset: Some(head.len()),
            length: text.chars().count(),
        });
        Ok(())
    }

    fn check_function(
        &mut self,
        table: &str,
        column: Option<&str>,
        function: &Function,
        tables: &BTreeSet<String>,
    ) {
        if self.unknown_sequence || tables.iter().any(|name| self.unknown_tables.contains(name)) {
            return;
        }
        let name = name::check_function(function.operation);
        let (sql, offset) = create_function(&self.sql(&name), function, "CREATE FUNCTION");
        self.checks.push(Check {
            operation: function.operation,
            field: function.field.clone(),
            table: table.to_owned(),
            column: column.map(str::to_owned),
            sql,
            offset: Some(offset),
            length: function.expression.chars().count(),
        });
    }
}

/// The statement, and the characters of it before the expression.
///
/// The body is parsed when the function is made: names are bound then, with the `search_path` of
/// the migration, and the writers' own does not matter. A column of a sub-query's table goes
/// before a parameter of the same name.
pub(super) fn create_function(name: &str, function: &Function, create: &str) -> (String, usize) {
    let parameters: Vec<String> = function
        .parameters
        .iter()
        .map(|one| format!("{} {}", Ident(&one.name), one.type_name))
        .collect();
    let value = expression::as_value(&function.expression);
    let head = format!(
        "{create} {name}({}) RETURNS {} LANGUAGE sql RETURN {}(",
        parameters.join(", "),
        function.returns,
        if function.is_literal { "CAST(" } else { "" },
    );
    let tail =
        if function.is_literal { format!(" AS {})", function.returns) } else { String::new() };
    let shift = usize::from(value.len() > function.expression.len());
    // The line's end: the expression may end in a comment.
    (format!("{head}{value}\n){tail}"), head.chars().count() + shift)
}

#[derive(Clone, Copy)]
pub(super) enum Direction {
    Up,
    Down,
}

/// What a function is asked for.
pub(super) struct Wanted<'a> {
    pub(super) at: usize,
    pub(super) table: &'a str,
    pub(super) column: &'a str,
    pub(super) field: &'a str,
    pub(super) expression: &'a str,
    pub(super) environment: &'a crate::migrate::model::Environment,
    pub(super) returns: &'a str,
    pub(super) direction: Direction,
}

fn is_column(text: &str, column: &str) -> bool {
    let text = text.trim();
    text == Ident(column).to_string()
        || (text == column && column.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
}

pub(super) fn is_serial(type_name: &str) -> bool {
    let word = type_name.trim().to_ascii_lowercase();
    matches!(
        word.as_str(),
        "serial" | "serial4" | "bigserial" | "serial8" | "smallserial" | "serial2"
    )
}

pub(super) fn lock(relation: RelationName, mode: LockMode) -> Lock {
    Lock { relation, mode }
}

/// `start/0002/add-column`
pub(super) fn step_id(phase: &str, at: usize, words: &str) -> String {
    format!("{phase}/{:04}/{words}", at + 1)
}

/// # Errors
/// If the name is empty or too long for PostgreSQL, which would cut it off.
pub(super) fn check_name(at: usize, field: &str, name: &str) -> Result<(), Finding> {
    if name.is_empty() {
        return Err(Finding::required(at, field));
    }
    if name.len() > name::MAX_NAME_BYTES {
        let message =
            format!("{field}: name {name:?} is longer than {} bytes", name::MAX_NAME_BYTES);
        return Err(Finding::new(FindingKind::InvalidIdentifierLength, at, message)
            .named(name)
            .field(field));
    }
    Ok(())
}

pub(super) fn quoted_list(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| Ident(name).to_string()).collect();
    quoted.join(", ")
}
