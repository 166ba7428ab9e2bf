//! Every command line that is written down anywhere is one: an unknown verb or flag fails here.

use super::Cli;
use clap::Parser;
use clap::error::ErrorKind;
use std::path::{Path, PathBuf};

/// README, docs and skills.
fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = |folder: &str| {
        let entries = std::fs::read_dir(root.join(folder)).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect::<Vec<_>>()
    };
    let mut found = vec![root.join("README.md"), root.join("CHANGELOG.md")];
    found.extend(entries("docs"));
    found.extend(entries(".claude/skills").into_iter().map(|skill| skill.join("SKILL.md")));
    found
}

/// A line of a code block.
fn code_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut is_fenced = false;
    let mut begun = String::new();
    for line in text.lines() {
        if line.starts_with("```") {
            is_fenced = !is_fenced;
        } else if is_fenced || line.starts_with("    ") {
            match line.strip_suffix('\\') {
                Some(part) => begun.push_str(part),
                None => lines.push(std::mem::take(&mut begun) + line),
            }
        }
    }
    lines
}

/// What stands between backquotes outside of code blocks.
fn quoted(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for paragraph in text.split("\n\n").filter(|text| !text.contains("```")) {
        let spans = paragraph.split('`').skip(1).step_by(2);
        found.extend(spans.map(|span| span.replace('\n', " ")));
    }
    found
}

/// The words of each command that a line runs, also those within others.
fn commands(line: &str) -> Vec<Vec<String>> {
    let line = line.replace("\"$(", " ; ").replace(")\"", " ; ").replace("$(", " ; ");
    // Unquoted: what comes behind belongs to the shell.
    let words = shlex::split(&line.replace(';', " ; ").replace('|', " | ")).unwrap_or_default();
    let mut found = Vec::new();
    for command in words.split(|word| [";", "|", "&&", "||"].contains(&word.as_str())) {
        let command = command.iter().skip_while(|word| {
            word.as_str() == "sudo" || word.contains('=') || word.contains("/usr/bin/env")
        });
        let command = command.take_while(|word| !word.starts_with(['>', '<'])).cloned();
        let command = command.collect::<Vec<_>>();
        if command.first().is_some_and(|word| word == "backlot") && command.len() > 1 {
            found.push(command);
        }
    }
    found
}

#[test]
fn every_command_that_is_written_down_is_one() {
    let mut count = 0;
    let mut wrong = Vec::new();
    for path in documents() {
        let text = std::fs::read_to_string(&path).unwrap();
        let whole = code_lines(&text).into_iter().map(|line| (line, true));
        let mentioned = quoted(&text).into_iter().map(|line| (line, false));
        for (line, is_whole) in whole.chain(mentioned) {
            for command in
                commands(&line).into_iter().filter(|words| !words.contains(&"…".to_owned()))
            {
                count += 1;
                let Err(error) = Cli::try_parse_from(&command) else { continue };
                let is_help =
                    matches!(error.kind(), ErrorKind::DisplayVersion | ErrorKind::DisplayHelp);
                // Where a verb is spoken of, not all that it needs is.
                let is_part = matches!(
                    error.kind(),
                    ErrorKind::MissingRequiredArgument
                        | ErrorKind::ValueValidation
                        | ErrorKind::InvalidValue
                        | ErrorKind::MissingSubcommand
                        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                );
                let is_fine = is_help || (is_part && !is_whole);
                if !is_fine {
                    let error = error.to_string();
                    let error = error.lines().next().unwrap_or_default().to_owned();
                    wrong.push(format!("{}: {}: {error}", path.display(), command.join(" ")));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 100, "{count}");
}

#[test]
fn commands_are_found_where_they_are() {
    let found = |line| commands(line).into_iter().map(|words| words.join(" ")).collect::<Vec<_>>();
    assert_eq!(found("backlot status --json # all"), ["backlot status --json"]);
    assert_eq!(
        found("psql \"$(backlot branch url dev)\" -c 'select 1'"),
        ["backlot branch url dev"]
    );
    assert_eq!(found("A=b sudo backlot stop > log"), ["backlot stop"]);
    assert_eq!(code_lines("```sh\na \\\nb\n```\nc"), ["a b"]);
    assert_eq!(quoted("one `a b` and `c`"), ["a b", "c"]);
}
