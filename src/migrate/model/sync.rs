//! How the two sides of a row are kept equal: pairs of columns and the expressions between them.

use std::collections::{BTreeMap, BTreeSet};

/// An expression of the migration, made a function of the columns that it reads: the server
/// judges it once, binds its names once, and needs no `search_path` when it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    pub operation: usize,
    /// `up`, `down.user_id`
    pub field: String,
    pub parameters: Vec<Parameter>,
    /// Without a modifier: the assignment to the column checks the length.
    pub returns: String,
    /// As in the file.
    pub expression: String,
    /// Strings that take their type from the column: cast, everything else is assigned.
    pub is_literal: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// What the version that the expression speaks of calls the column.
    pub name: String,
    pub type_name: String,
}

/// A value of one side, computed from the row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// A physical column as it is.
    Column(String),
    Function {
        name: String,
        arguments: Vec<Call>,
    },
}

impl Call {
    /// Physical columns that the value is computed from.
    pub fn reads(&self) -> BTreeSet<String> {
        match self {
            Call::Column(column) => BTreeSet::from([column.clone()]),
            Call::Function { arguments, .. } => arguments.iter().flat_map(Call::reads).collect(),
        }
    }

    /// The value with `with` in the place of a column.
    #[must_use]
    pub fn substituted(&self, column: &str, with: &Call) -> Call {
        match self {
            Call::Column(name) if name == column => with.clone(),
            Call::Column(_) => self.clone(),
            Call::Function { name, arguments } => Call::Function {
                name: name.clone(),
                arguments: arguments.iter().map(|one| one.substituted(column, with)).collect(),
            },
        }
    }

    /// SQL; `column` writes a physical column, `function` a function's name.
    pub fn sql(
        &self,
        column: &impl Fn(&str) -> String,
        function: &impl Fn(&str) -> String,
    ) -> String {
        match self {
            Call::Column(name) => column(name),
            Call::Function { name, arguments } => {
                let arguments: Vec<String> =
                    arguments.iter().map(|one| one.sql(column, function)).collect();
                format!("{}({})", function(name), arguments.join(", "))
            }
        }
    }
}

/// What the old version reads and writes, and what the new one does in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Physical; `None`: the old version has no such column.
    pub old: Option<String>,
    /// Physical; `None`: the new version has no such column.
    pub new: Option<String>,
    pub up: Option<Call>,
    pub down: Option<Call>,
    /// The old column draws its default from a sequence, which the new one does not before
    /// complete: where the new version gives no value, the old column's number is taken up.
    pub old_draws: bool,
}

/// What an expression may speak of: name, type, and where the value comes from.
pub type Environment = BTreeMap<String, (String, Call)>;
