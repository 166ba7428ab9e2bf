//! `backlot roll lint`

use super::arguments::ServerArgs;
use super::{files, plan};
use crate::cli::failure::Failure;
use crate::cli::{Global, output};
use crate::migrate::file::MigrationFile;
use crate::migrate::lint::{self, Level, Lint, Planned, RULES};
use clap::Args;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(in crate::cli) struct LintArgs {
    /// A migration or a directory of them
    #[arg(value_name = "FILE", required_unless_present = "rules")]
    path: Option<PathBuf>,
    /// Leave out a rule, by its id; may be repeated
    #[arg(long, value_name = "ID")]
    ignore: Vec<String>,
    /// Fail if there is a warning (exit code 7)
    #[arg(long)]
    strict: bool,
    /// Do not ask the database what the migration's steps would be
    #[arg(long)]
    offline: bool,
    /// List the rules
    #[arg(long)]
    rules: bool,
}

pub(super) async fn run(
    args: LintArgs,
    server: &ServerArgs,
    global: &Global,
) -> Result<(), Failure> {
    if args.rules {
        return list(global);
    }
    if let Some(unknown) = args.ignore.iter().find(|id| !RULES.iter().any(|of| of.id == **id)) {
        let message = format!("there is no rule `{unknown}`");
        return Err(Failure::usage(message).hint("`backlot roll lint --rules` lists them"));
    }
    let path = args.path.unwrap_or_default();
    let mut found = Vec::new();
    if path.is_dir() {
        for (path, file) in files::directory(&path, global)? {
            let lints = lint::lint(&file.migration, None);
            found.extend(lints.into_iter().map(|lint| Placed::new(&path, &file, lint)));
        }
    } else {
        let file = files::read(&path, global)?;
        let lints = if args.offline || !server.is_given() {
            lint::lint(&file.migration, None)
        } else {
            let prepared = plan::prepare(&path, &file, server).await?;
            let planned = Planned { plan: &prepared.plan, schema: &prepared.schema };
            lint::lint(&file.migration, Some(planned))
        };
        found.extend(lints.into_iter().map(|lint| Placed::new(&path, &file, lint)));
    }
    found.retain(|placed| !args.ignore.iter().any(|id| id == placed.lint.rule.id));
    show(&found, global)?;
    let warnings = found.iter().filter(|placed| placed.lint.rule.level == Level::Warning).count();
    if args.strict && warnings > 0 {
        return Err(Failure::refused(format!("{warnings} warning(s)"))
            .hint("mend them, or leave a rule out by --ignore"));
    }
    Ok(())
}

fn list(global: &Global) -> Result<(), Failure> {
    if global.json {
        return output::json(&json!({ "rules": RULES }));
    }
    let level = |level: Level| if level == Level::Warning { "warning" } else { "note" };
    RULES.iter().try_for_each(|rule| {
        output::line(&format!("{:32} {:8} {}", rule.id, level(rule.level), rule.advice))
    })
}

struct Placed {
    file: String,
    line: u32,
    column: u32,
    lint: Lint,
}

impl Placed {
    fn new(path: &Path, file: &MigrationFile, lint: Lint) -> Self {
        let place = files::place_of(file, lint.operation, &lint.field);
        let file = path.display().to_string();
        Self { file, line: place.line, column: place.column, lint }
    }

    fn document(&self) -> Value {
        let mut document = json!(self.lint);
        if let Value::Object(map) = &mut document {
            map.insert("file".into(), json!(self.file));
            map.insert("line".into(), json!(self.line));
            map.insert("column".into(), json!(self.column));
        }
        document
    }
}

fn show(found: &[Placed], global: &Global) -> Result<(), Failure> {
    if global.json {
        let lints: Vec<_> = found.iter().map(Placed::document).collect();
        return output::json(&json!({ "lints": lints }));
    }
    found.iter().try_for_each(|placed| {
        let Placed { file, line, column, lint } = placed;
        let level = if lint.rule.level == Level::Warning { "warning" } else { "note" };
        let (id, advice) = (lint.rule.id, lint.rule.advice);
        output::line(&format!(
            "{file}:{line}:{column}: {level}: {} [{id}]\n  hint: {advice}",
            lint.message
        ))
    })
}
