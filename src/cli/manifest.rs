//! `backlot manifest`: every verb, flag, effect and exit code, for programs that drive this one.
//!
//! Verbs and flags are what clap was told; only effects are written here, and a verb without one
//! fails a test.

use super::failure::{Code, Failure};
use super::{Cli, Global, output};
use clap::{Arg, ArgAction, Command, CommandFactory};
use serde::Serialize;
use std::collections::BTreeSet;

/// The form of the document; changed when a member goes or changes its meaning.
const FORMAT: u32 = 1;

/// What a verb does to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Effect {
    /// Changes nothing; may start the server of a branch to ask it.
    Reads,
    /// Makes or changes something, and destroys nothing.
    Writes,
    /// May take data away: has a dry run, or asks, or refuses until it is told.
    Destroys,
}

use Effect::{Destroys, Reads, Writes};

/// By the words of the verb: its effect, and on what.
const EFFECTS: &[(&str, Effect, &str)] = &[
    ("init", Writes, "the folder: .backlot; a server of the project"),
    ("status", Reads, ""),
    ("stop", Writes, "the project's servers and proxy, which end"),
    ("auth login", Writes, "the user's credentials file"),
    ("auth status", Reads, ""),
    ("auth logout", Destroys, "the token"),
    (
        "branch create",
        Writes,
        "the project: a branch, of a foreign server a database; its parent may pause for milliseconds",
    ),
    ("branch list", Reads, ""),
    ("branch tree", Reads, ""),
    ("branch describe", Reads, ""),
    ("branch checkout", Writes, "the project: which branch other verbs act on"),
    ("branch url", Reads, ""),
    ("branch wait-ready", Reads, ""),
    ("branch delete", Destroys, "branches, with their data"),
    ("branch renew", Writes, "the time that a branch has left"),
    ("branch gc", Destroys, "branches whose time is over, with their data"),
    ("branch set", Writes, "properties of a branch"),
    ("branch get", Reads, ""),
    ("branch pool create", Writes, "the project: its branches move; its servers stop"),
    ("branch pool mount", Writes, "the machine: a mount"),
    ("branch pool status", Reads, ""),
    ("branch logs", Reads, ""),
    ("branch metrics", Reads, ""),
    ("clone start", Destroys, "the target: only empty ones, or with --replace"),
    ("clone stream", Writes, "the target's rows; the position of the slot on the source"),
    ("clone resync", Writes, "tables of the target, which are copied again"),
    ("clone stop", Destroys, "slot and publications on the source; the data stays"),
    (
        "clone config",
        Destroys,
        "transforms.yaml, an existing one with --force; a key with --create-key",
    ),
    ("clone preview", Reads, ""),
    ("clone status", Reads, ""),
    ("clone retry", Writes, "the target's rows"),
    ("clone verify", Reads, ""),
    ("roll init", Writes, "the database: a schema that remembers migrations"),
    ("roll start", Destroys, "the database: both versions; with --complete the old one goes"),
    ("roll complete", Destroys, "the old version, with columns that only it had"),
    ("roll rollback", Destroys, "the new version, with columns that only it had"),
    ("roll resume", Destroys, "what the interrupted verb does"),
    ("roll status", Reads, ""),
    ("roll migrate", Destroys, "what roll start and roll complete do"),
    ("roll validate", Reads, ""),
    ("roll plan", Reads, ""),
    ("roll lint", Reads, ""),
    ("roll convert", Writes, "a file, where one is named"),
    (
        "roll update",
        Destroys,
        "the migration files of a directory are written anew, without comments",
    ),
    ("roll baseline", Writes, "the history; a file of the directory"),
    ("roll pull", Writes, "files of a directory that it lacks"),
    ("roll latest schema", Reads, ""),
    ("roll latest migration", Reads, ""),
    ("roll latest url", Reads, ""),
    ("roll url", Reads, ""),
    ("proxy start", Writes, "the project's proxy"),
    ("proxy stop", Writes, "the project's proxy; its clients' sessions end"),
    ("proxy status", Reads, ""),
    ("doctor", Reads, ""),
    ("demo", Writes, "two servers of its own, which end unless --keep"),
    ("manifest", Reads, ""),
    (
        "skills install",
        Destroys,
        "the folder: .claude/skills; with --force what others wrote there",
    ),
    ("skills list", Reads, ""),
    ("completions", Reads, ""),
    ("manual", Writes, "a directory of man pages"),
];

#[derive(Serialize)]
struct Manifest {
    program: &'static str,
    version: &'static str,
    format: u32,
    global_flags: Vec<Flag>,
    verbs: Vec<Verb>,
    exit_codes: Vec<ExitCode>,
}

#[derive(Serialize)]
struct Verb {
    /// `branch create`
    name: String,
    about: String,
    effect: Option<Effect>,
    /// What is changed, in words.
    changes: Option<&'static str>,
    arguments: Vec<Argument>,
    flags: Vec<Flag>,
}

#[derive(Serialize)]
struct Argument {
    name: String,
    about: String,
    is_required: bool,
    is_repeated: bool,
}

#[derive(Serialize)]
struct Flag {
    /// With its dashes.
    name: String,
    short: Option<String>,
    about: String,
    /// None: a switch.
    value: Option<String>,
    default: Option<String>,
    choices: Vec<String>,
    is_required: bool,
    is_repeated: bool,
}

#[derive(Serialize)]
struct ExitCode {
    code: u8,
    name: &'static str,
    about: &'static str,
}

pub(super) fn run(global: &Global) -> Result<(), Failure> {
    let manifest = manifest();
    if global.json {
        return output::json(&manifest);
    }
    for verb in &manifest.verbs {
        let changes = verb.changes.map(|what| format!(" ({what})")).unwrap_or_default();
        output::line(&format!("backlot {}: {}{changes}", verb.name, verb.about))?;
    }
    for code in &manifest.exit_codes {
        output::line(&format!("exit code {}: {}", code.code, code.about))?;
    }
    Ok(())
}

fn manifest() -> Manifest {
    let command = Cli::command();
    let global = command.get_arguments().filter(|arg| arg.is_global_set());
    let global_flags = global.filter_map(flag).collect::<Vec<_>>();
    let names = global_flags.iter().map(|flag| flag.name.clone()).collect();
    let mut verbs = Vec::new();
    collect(&command, &mut Vec::new(), &names, &mut verbs);
    Manifest {
        program: "backlot",
        version: env!("CARGO_PKG_VERSION"),
        format: FORMAT,
        global_flags,
        verbs,
        exit_codes: exit_codes(),
    }
}

fn exit_codes() -> Vec<ExitCode> {
    let of = |code: Code| ExitCode { code: code as u8, name: code.name(), about: code.about() };
    let done = ExitCode { code: 0, name: "done", about: "done" };
    std::iter::once(done).chain(Code::ALL.map(of)).collect()
}

/// The verbs that do something: those without verbs of their own.
fn collect(
    command: &Command,
    words: &mut Vec<String>,
    global: &BTreeSet<String>,
    verbs: &mut Vec<Verb>,
) {
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        words.push(verb.get_name().to_owned());
        if verb.has_subcommands() {
            collect(verb, words, global, verbs);
        } else {
            verbs.push(of_command(verb, words.join(" "), global));
        }
        words.pop();
    }
}

fn of_command(command: &Command, name: String, global: &BTreeSet<String>) -> Verb {
    let known = EFFECTS.iter().find(|(known, _, _)| *known == name);
    let shown = || command.get_arguments().filter(|arg| !arg.is_hide_set());
    let arguments = shown().filter(|arg| arg.is_positional()).map(|arg| Argument {
        name: value_name(arg),
        about: about(arg),
        is_required: arg.is_required_set(),
        is_repeated: is_repeated(arg),
    });
    Verb {
        about: command.get_about().map(ToString::to_string).unwrap_or_default(),
        effect: known.map(|(_, effect, _)| *effect),
        changes: known.map(|(_, _, what)| *what).filter(|what| !what.is_empty()),
        arguments: arguments.collect(),
        flags: shown().filter_map(flag).filter(|flag| !global.contains(&flag.name)).collect(),
        name,
    }
}

fn flag(arg: &Arg) -> Option<Flag> {
    let takes_value = arg.get_action().takes_values();
    let join = |values: Vec<String>| (!values.is_empty()).then(|| values.join(","));
    let defaults = arg.get_default_values().iter().map(|value| value.to_string_lossy().into());
    let choices = arg.get_possible_values().into_iter().filter(|one| !one.is_hide_set());
    Some(Flag {
        name: format!("--{}", arg.get_long()?),
        short: arg.get_short().map(|short| format!("-{short}")),
        about: about(arg),
        value: takes_value.then(|| value_name(arg)),
        default: if takes_value { join(defaults.collect()) } else { None },
        choices: if takes_value {
            choices.map(|one| one.get_name().to_owned()).collect()
        } else {
            Vec::new()
        },
        is_required: arg.is_required_set(),
        is_repeated: is_repeated(arg),
    })
}

fn value_name(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    names.first().map_or_else(|| arg.get_id().to_string().to_uppercase(), ToString::to_string)
}

fn about(arg: &Arg) -> String {
    arg.get_help().map(ToString::to_string).unwrap_or_default()
}

fn is_repeated(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append)
        || arg.get_num_args().is_some_and(|count| count.max_values() > 1)
}

#[cfg(test)]
mod tests {
    use super::{EFFECTS, manifest};

    #[test]
    fn every_verb_has_an_effect_and_every_effect_a_verb() {
        let verbs = manifest().verbs;
        let without = verbs.iter().filter(|verb| verb.effect.is_none());
        let without = without.map(|verb| verb.name.as_str()).collect::<Vec<_>>();
        assert_eq!(without, Vec::<&str>::new());
        let is_verb = |name: &&str| verbs.iter().any(|verb| verb.name == **name);
        let of_none = EFFECTS.iter().map(|(name, _, _)| *name).filter(|name| !is_verb(name));
        assert_eq!(of_none.collect::<Vec<_>>(), Vec::<&str>::new());
    }

    #[test]
    fn verbs_and_flags_say_what_they_are() {
        for verb in manifest().verbs {
            assert!(!verb.about.is_empty(), "{}", verb.name);
            for flag in verb.flags {
                assert!(!flag.about.is_empty(), "{} {}", verb.name, flag.name);
            }
            for argument in verb.arguments {
                assert!(!argument.about.is_empty(), "{} {}", verb.name, argument.name);
            }
        }
    }
}
