//! Migration files: read with all their mistakes at once, found in a directory in their order.

use crate::cli::failure::Failure;
use crate::cli::{Global, output};
use crate::document::Place;
use crate::migrate::file::{self, Migration, MigrationFile, Mistake};
use crate::migrate::plan::Finding;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A file larger than this is no migration.
const FILE_BYTES: u64 = 16 << 20;

/// One file.
pub(super) fn read(path: &Path, global: &Global) -> Result<MigrationFile, Failure> {
    let shown = path.display().to_string();
    let failed = |error: std::io::Error| Failure::usage(format!("read {shown}: {error}"));
    if std::fs::metadata(path).map_err(failed)?.len() > FILE_BYTES {
        return Err(Failure::usage(format!("{shown} is too large to be a migration")));
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let file = file::read(&text, &shown).map_err(|mistakes| mistaken(&mistakes))?;
    if !global.quiet && !global.json {
        for warning in &file.warnings {
            output::say(&warning.to_string());
        }
    }
    Ok(file)
}

/// All files of a directory, in the order in which they run. All mistakes of all files at once.
pub(super) fn directory(
    path: &Path,
    global: &Global,
) -> Result<Vec<(PathBuf, MigrationFile)>, Failure> {
    let shown = path.display();
    let failed = |error: std::io::Error| Failure::usage(format!("read directory {shown}: {error}"));
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_dir() {
            continue;
        }
        let name = entry.file_name().into_string();
        names.extend(name.ok());
    }
    let names = file::migration_files(names).map_err(|error| Failure::usage(error.to_string()))?;
    let mut files = Vec::new();
    let mut failures = Vec::new();
    for name in names {
        let path = path.join(name);
        match read(&path, global) {
            Ok(file) => files.push((path, file)),
            Err(failure) => failures.push(failure),
        }
    }
    match Failure::joined(failures) {
        Some(failure) => Err(failure),
        None => Ok(files),
    }
}

/// The last one of a directory.
pub(super) fn newest(path: &Path) -> Result<Migration, Failure> {
    let quiet =
        Global { json: false, quiet: true, yes: false, project: None, timeout: None, log: None };
    let newest = directory(path, &quiet)?.pop();
    newest
        .map(|(_, file)| file.migration)
        .ok_or_else(|| Failure::not_found(format!("{} holds no migration", path.display())))
}

pub(super) fn mistaken(mistakes: &[Mistake]) -> Failure {
    let findings = mistakes.iter().map(|mistake| {
        let at = &mistake.diagnostic;
        json!({
            "kind": mistake.kind, "message": at.message, "hint": at.hint,
            "file": at.file, "line": at.line, "column": at.column,
        })
    });
    Failure::usage(format!("the migration has {} mistake(s)", mistakes.len()))
        .causes(mistakes.iter().map(ToString::to_string).collect())
        .findings(findings.collect())
}

/// What the schema or the server has against a migration, at its place in the file.
pub(super) fn invalid(path: &Path, file: &MigrationFile, findings: &[Finding]) -> Failure {
    let shown = path.display().to_string();
    let places = findings.iter().map(|finding| place(file, finding)).collect::<Vec<_>>();
    let lines = findings.iter().zip(&places).map(|(finding, place)| {
        let within = finding
            .position
            .as_ref()
            .map(|position| format!(" (character {} of {})", position.offset + 1, position.field));
        let within = within.unwrap_or_default();
        format!("{shown}:{}:{}: error: {}{within}", place.line, place.column, finding.message)
    });
    let documents = findings.iter().zip(&places).map(|(finding, place)| {
        let mut document = json!(finding);
        if let Value::Object(map) = &mut document {
            map.insert("file".into(), json!(shown));
            map.insert("line".into(), json!(place.line));
            map.insert("column_number".into(), json!(place.column));
        }
        document
    });
    Failure::usage(format!(
        "migration {} cannot run on this schema: {} problem(s)",
        file.migration.name,
        findings.len()
    ))
    .causes(lines.collect())
    .findings(documents.collect())
}

fn place(file: &MigrationFile, finding: &Finding) -> Place {
    place_of(file, finding.operation, finding.field.as_deref().unwrap_or_default())
}

/// The place of a field of an operation, or of the operation itself if the field is empty.
pub(super) fn place_of(file: &MigrationFile, operation: Option<usize>, field: &str) -> Place {
    let Some(at) = operation else { return Place { line: 1, column: 1 } };
    let Some(operation) = file.migration.operations.get(at) else {
        return Place { line: 1, column: 1 };
    };
    let field = field.replace(['.', '['], "/").replace(']', "");
    file.places.field(at, operation.kind(), &field)
}
