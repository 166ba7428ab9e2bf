//! A migration, and a migration as a file holds it.

use super::Places;
use crate::document::Diagnostic;
use crate::migrate::operation::Operation;
use serde_json::{Map, Value};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Migration {
    /// The file's name without its last extension.
    pub name: String,
    /// Names the version's schema in place of `name`.
    pub version_schema: Option<String>,
    pub operations: Vec<Operation>,
}

impl Migration {
    /// What follows `<schema>_` in the name of the version's schema.
    pub fn version(&self) -> &str {
        self.version_schema.as_deref().unwrap_or(&self.name)
    }

    /// The file's content as JSON, without the name, in the order of the format.
    pub fn to_value(&self) -> Value {
        let mut map = Map::new();
        if let Some(version_schema) = &self.version_schema {
            map.insert("version_schema".to_owned(), version_schema.as_str().into());
        }
        let element = |operation: &Operation| {
            Value::Object(Map::from_iter([(operation.kind().to_owned(), operation.body())]))
        };
        let operations = self.operations.iter().map(element).collect();
        map.insert("operations".to_owned(), operations);
        Value::Object(map)
    }
}

/// The two forms of a migration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Yaml,
    Json,
}

impl Form {
    /// By the extension of a file's name: `.json`, `.yaml` or `.yml`; `None` for any other.
    pub fn of(file_name: &str) -> Option<Self> {
        match file_name.rsplit_once('.')?.1 {
            "json" => Some(Self::Json),
            "yaml" | "yml" => Some(Self::Yaml),
            _ => None,
        }
    }
}

/// A file that was read without a mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationFile {
    pub migration: Migration,
    pub form: Form,
    pub places: Places,
    pub warnings: Vec<Diagnostic>,
    /// It holds an older form of an operation, which `update` rewrites.
    pub is_old_form: bool,
}
