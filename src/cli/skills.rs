//! `backlot skills`: what a coding agent needs to know, as files of its own.

use super::failure::Failure;
use super::{Global, output, project};
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Where agents look for them.
const FOLDER: &str = ".claude/skills";

/// Name and text.
const SKILLS: [(&str, &str); 6] = [
    ("setup", include_str!("../../.claude/skills/setup/SKILL.md")),
    ("branch-create", include_str!("../../.claude/skills/branch-create/SKILL.md")),
    ("migration-start", include_str!("../../.claude/skills/migration-start/SKILL.md")),
    ("migration-complete", include_str!("../../.claude/skills/migration-complete/SKILL.md")),
    ("migration-rollback", include_str!("../../.claude/skills/migration-rollback/SKILL.md")),
    ("clone-production", include_str!("../../.claude/skills/clone-production/SKILL.md")),
];

#[derive(Subcommand)]
pub(super) enum SkillsVerb {
    /// Write the skills into this folder's .claude/skills
    Install(InstallArgs),
    /// Show the skills
    List,
}

#[derive(Args)]
pub(super) struct InstallArgs {
    /// Write over files that say something else
    #[arg(long)]
    force: bool,
}

pub(super) fn run(verb: &SkillsVerb, global: &Global) -> Result<(), Failure> {
    match verb {
        SkillsVerb::Install(args) => install(args, global),
        SkillsVerb::List => list(global),
    }
}

/// All, or none if one stands in the way.
fn install(args: &InstallArgs, global: &Global) -> Result<(), Failure> {
    let root = project::folder(global).join(FOLDER);
    let mut missing = Vec::new();
    let mut others = Vec::new();
    for (name, text) in SKILLS {
        let path = root.join(name).join("SKILL.md");
        match std::fs::read(&path) {
            Ok(found) if found == text.as_bytes() => {}
            Ok(_) => others.push((path, text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                missing.push((path, text));
            }
            Err(error) => return Err(failed("read", &path, &error)),
        }
    }
    if let (false, Some((path, _))) = (args.force, others.first()) {
        return Err(Failure::refused(format!("{} says something else", path.display()))
            .hint("give --force to write over it"));
    }
    missing.append(&mut others);
    for (path, text) in &missing {
        write(path, text).map_err(|error| failed("write", path, &error))?;
    }
    let written = missing.into_iter().map(|(path, _)| path).collect::<Vec<PathBuf>>();
    if global.json {
        return output::json(&json!({"folder": root, "written": written}));
    }
    output::line(&format!(
        "{} skills in {}, {} of them new or changed",
        SKILLS.len(),
        root.display(),
        written.len()
    ))
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, text)
}

fn failed(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("{what} {}: {error}", path.display()))
        .hint("see to it that the folder can be written, or name another with --project")
}

fn list(global: &Global) -> Result<(), Failure> {
    if global.json {
        let skills = SKILLS
            .iter()
            .map(|(name, text)| json!({"name": name, "description": description(text)}))
            .collect::<Vec<_>>();
        return output::json(&json!({"skills": skills}));
    }
    SKILLS
        .iter()
        .try_for_each(|(name, text)| output::line(&format!("{name}: {}", description(text))))
}

/// Of the front matter.
fn description(text: &str) -> &str {
    text.lines().find_map(|line| line.strip_prefix("description: ")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{SKILLS, description};

    #[test]
    fn skills_have_a_name_and_say_what_and_when() {
        for (name, text) in SKILLS {
            let head = format!("---\nname: {name}\ndescription: ");
            assert!(text.starts_with(&head), "{name}");
            let description = description(text);
            assert!(description.contains(". Used "), "{name}: {description}");
            assert!(description.len() < 1024, "{name}");
            for section in ["## Before", "## Do", "## Check", "## If it fails", "## Never"] {
                assert!(text.contains(section), "{name}: {section}");
            }
        }
    }
}
