//! The format of a file of cases. Strict: what it does not know is a mistake, and so is a case
//! that expects nothing.

use std::{fs, path::PathBuf};

use backlot::migrate::plan::FindingKind;
use serde::Deserialize;

/// One file of `tests/specs/roll`: cases about one operation or topic.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// SQL for every case that has none of its own.
    pub(super) setup: Option<String>,
    /// Rows for every case that has no `setup` of its own.
    pub(super) data: Option<String>,
    pub(super) cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
    /// The schema that is migrated; `public` if nothing is said.
    #[serde(default = "public")]
    pub(super) schema: String,
    /// SQL that makes the schema: run as the migration `00_setup`, whose version is the old one
    /// if no other comes in between. Empty: the case's migrations are the first ever.
    pub(super) setup: Option<String>,
    /// SQL that makes the rows, after the earlier migrations. Tables are emptied and it is run
    /// again before the second start.
    pub(super) data: Option<String>,
    /// Steps before the first start.
    #[serde(default)]
    pub(super) before: Vec<Step>,
    /// Migration files as pgroll has them, named `01`, `02`, … All but the last are completed.
    pub(super) migrations: Vec<String>,
    #[serde(default)]
    pub(super) after_start: Vec<Step>,
    #[serde(default)]
    pub(super) after_rollback: Vec<Step>,
    #[serde(default)]
    pub(super) after_complete: Vec<Step>,
    /// The last migration is refused before anything is changed.
    pub(super) error: Option<Refusal>,
    /// SQLSTATE with which its start fails, and is taken back.
    pub(super) start_fails: Option<String>,
}

fn public() -> String {
    "public".to_owned()
}

/// What a migration is refused with. A field that is not given may be anything.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct Refusal {
    pub(super) kind: FindingKind,
    pub(super) table: Option<String>,
    pub(super) column: Option<String>,
    pub(super) name: Option<String>,
    /// Where in the operation: `up`.
    pub(super) field: Option<String>,
    /// Characters of the field before the place.
    pub(super) offset: Option<usize>,
    /// `line:column` in the file, for what is found in it without a database.
    pub(super) place: Option<String>,
    /// A part of what is said.
    pub(super) says: Option<String>,
}

#[derive(Deserialize)]
#[serde(try_from = "WrittenStep")]
pub(super) struct Step {
    pub(super) action: Action,
    pub(super) expected: Expected,
}

pub(super) enum Action {
    /// As an application of the version before the migration: its schema alone is on the path.
    Old(String),
    /// As an application of the migration's version.
    New(String),
    /// With the schema itself on the path.
    Sql(String),
    /// Objects that are there, or are not.
    Has(Vec<Object>, bool),
}

pub(super) enum Expected {
    Success,
    Rows(Vec<String>),
    /// SQLSTATE
    Failure(String),
}

/// `column users.name`, `view new.users`, `index users_name`
pub(super) struct Object {
    pub(super) kind: ObjectKind,
    /// The table, or `old` and `new` for a view.
    pub(super) of: String,
    pub(super) name: String,
}

#[derive(Clone, Copy)]
pub(super) enum ObjectKind {
    Table,
    Column,
    Constraint,
    Index,
    View,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenStep {
    old: Option<String>,
    new: Option<String>,
    sql: Option<String>,
    has: Option<Vec<String>>,
    has_not: Option<Vec<String>>,
    rows: Option<Vec<String>>,
    fails: Option<String>,
}

impl TryFrom<WrittenStep> for Step {
    type Error = String;

    fn try_from(written: WrittenStep) -> Result<Self, String> {
        let mut actions = Vec::new();
        actions.extend(written.old.map(Action::Old));
        actions.extend(written.new.map(Action::New));
        actions.extend(written.sql.map(Action::Sql));
        for (names, is_there) in [(written.has, true), (written.has_not, false)] {
            let Some(names) = names else { continue };
            if names.is_empty() {
                return Err("a step that asks for no object".to_owned());
            }
            let objects = names.iter().map(|name| object(name)).collect::<Result<_, String>>()?;
            actions.push(Action::Has(objects, is_there));
        }
        let expected = match (written.rows, written.fails) {
            (None, None) => Expected::Success,
            (Some(rows), None) => Expected::Rows(rows),
            (None, Some(state)) if state.len() == 5 => Expected::Failure(state),
            (None, Some(state)) => return Err(format!("{state:?} is no SQLSTATE")),
            (Some(_), Some(_)) => return Err("a step that gives rows and fails".to_owned()),
        };
        if actions.len() != 1 {
            return Err("a step is one of old, new, sql, has and has_not".to_owned());
        }
        let action = actions.remove(0);
        match (&action, &expected) {
            (Action::Has(..), Expected::Rows(_) | Expected::Failure(_)) => {
                Err("objects are there or not: they give no rows".to_owned())
            }
            (Action::Old(text) | Action::New(text) | Action::Sql(text), Expected::Success)
                if is_query(text) =>
            {
                Err(format!("a query without rows: {text}"))
            }
            _ => Ok(Self { action, expected }),
        }
    }
}

fn is_query(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default().to_lowercase();
    matches!(first.as_str(), "select" | "table" | "values" | "show")
}

fn object(text: &str) -> Result<Object, String> {
    let wrong = || format!("{text:?} is no object: write `column users.name` or `index by_name`");
    let (kind, rest) = text.split_once(' ').ok_or_else(wrong)?;
    let (kind, is_inside) = match kind {
        "table" => (ObjectKind::Table, false),
        "index" => (ObjectKind::Index, false),
        "column" => (ObjectKind::Column, true),
        "constraint" => (ObjectKind::Constraint, true),
        "view" => (ObjectKind::View, true),
        _ => return Err(wrong()),
    };
    if !is_inside {
        return Ok(Object { kind, of: String::new(), name: rest.to_owned() });
    }
    let (of, name) = rest.split_once('.').ok_or_else(wrong)?;
    if matches!(kind, ObjectKind::View) && !matches!(of, "old" | "new") {
        return Err(format!("{text:?}: a view is of the old or the new version"));
    }
    Ok(Object { kind, of: of.to_owned(), name: name.to_owned() })
}

impl File {
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let file: Self = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        for (at, case) in file.cases.iter().enumerate() {
            case.check().map_err(|error| format!("{}: {error}", case.name))?;
            if file.cases.iter().take(at).any(|other| other.name == case.name) {
                return Err(format!("{}: there are two of the name", case.name));
            }
        }
        Ok(file)
    }
}

impl Case {
    fn check(&self) -> Result<(), String> {
        if self.migrations.is_empty() {
            return Err("no migration".to_owned());
        }
        let phases = [&self.after_start, &self.after_rollback, &self.after_complete];
        if self.error.is_some() {
            let has_steps = phases.iter().any(|steps| !steps.is_empty());
            if has_steps || self.start_fails.is_some() {
                return Err("a migration that is refused does not start".to_owned());
            }
        } else if self.start_fails.is_some() {
            if !self.after_start.is_empty() || !self.after_complete.is_empty() {
                return Err("a start that fails has no version".to_owned());
            }
        } else if self.after_start.is_empty() || self.after_complete.is_empty() {
            return Err("nothing is expected after start or after complete".to_owned());
        }
        Ok(())
    }

    /// The migrations with their names.
    pub(super) fn named(&self) -> impl Iterator<Item = (String, &str)> {
        self.migrations
            .iter()
            .enumerate()
            .map(|(at, text)| (format!("{:02}", at + 1), text.as_str()))
    }
}

pub(super) fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/specs/roll")
}

pub(super) fn load(name: &str) -> File {
    let path = directory().join(format!("{name}.yaml"));
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    File::read(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
