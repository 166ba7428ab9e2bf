//! `.backlot/project.yaml`: what everybody who works in the folder shares.

use std::{fs, path::Path};

use super::{ProjectError, write_whole};
use crate::document::{Diagnostic, Node, Place, Tree, read_yaml, suggest};
use crate::pg::ConnInfo;

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectFile {
    pub name: String,
    /// Major version of the servers.
    pub postgres: u32,
    pub default_branch: String,
    /// A team's server. None: everything is on this machine.
    pub server: Option<String>,
    /// URL of a database of a server that others run, without the password: its branches are
    /// databases there. None: the project has servers of its own.
    pub foreign_server: Option<String>,
}

const KEYS: [&str; 5] = ["name", "postgres", "default_branch", "server", "foreign_server"];
/// Of a name; it becomes part of names of servers.
const NAME_LIMIT: usize = 63;

impl ProjectFile {
    /// # Errors
    /// [`ProjectError::Invalid`] with the place of the mistake.
    pub fn read(path: &Path) -> Result<Self, ProjectError> {
        let text = fs::read_to_string(path).map_err(ProjectError::file("read", path))?;
        Self::parse(&text, &path.display().to_string())
            .map_err(|diagnostic| ProjectError::Invalid(Box::new(diagnostic)))
    }

    /// # Errors
    /// [`ProjectError::File`].
    pub fn write(&self, path: &Path) -> Result<(), ProjectError> {
        // JSON strings are YAML strings.
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let line = |key: &str, value: &Option<String>| {
            value.as_ref().map_or_else(String::new, |value| format!("{key}: {}\n", quoted(value)))
        };
        let text = format!(
            "# The project of this folder (backlot). Commit this file.\n\
             name: {}\npostgres: {}\ndefault_branch: {}\n{}{}",
            quoted(&self.name),
            self.postgres,
            quoted(&self.default_branch),
            line("server", &self.server),
            line("foreign_server", &self.foreign_server),
        );
        write_whole(path, &text, 0o644)
    }

    fn parse(text: &str, file: &str) -> Result<Self, Diagnostic> {
        let root = read_yaml(text, file)?;
        let Tree::Map(entries) = &root.tree else {
            let found = root.tree.describe();
            return Err(Diagnostic::error(
                file,
                root.place,
                format!("a map is wanted, not {found}"),
            ));
        };
        let (mut name, mut postgres, mut server) = (None, None, None);
        let (mut default_branch, mut foreign_server) = (None, None);
        for (key, value) in entries {
            match key.text.as_str() {
                "name" => name = Some(text_of(value, file)?),
                "postgres" => postgres = Some(number_of(value, file)?),
                "default_branch" => default_branch = Some(text_of(value, file)?),
                "server" => server = Some(text_of(value, file)?),
                "foreign_server" => foreign_server = Some(url_of(value, file)?),
                other => {
                    let known = suggest(other, KEYS);
                    let message = format!("`{other}` is no key of a project");
                    return Err(Diagnostic::error(file, key.place, message).with_hint_if(known));
                }
            }
        }
        let missing = |key: &str| {
            Diagnostic::error(file, Place::default(), format!("`{key}` is missing"))
                .with_hint("`backlot init` in a new folder shows how it is written")
        };
        Ok(Self {
            name: name.ok_or_else(|| missing("name"))?,
            postgres: postgres.ok_or_else(|| missing("postgres"))?,
            default_branch: default_branch.unwrap_or_else(|| "main".to_owned()),
            server,
            foreign_server,
        })
    }

    /// The server that others run, if the project is on one. No password.
    ///
    /// # Panics
    /// On a `foreign_server` that is no URL: reading the file refuses one.
    pub fn foreign(&self) -> Option<ConnInfo> {
        let url = self.foreign_server.as_deref()?;
        Some(ConnInfo::parse(url).expect("checked when it was read, or written by `to_url`"))
    }
}

/// A URL that may be committed.
fn url_of(node: &Node, file: &str) -> Result<String, Diagnostic> {
    let text = text_of(node, file)?;
    let wrong = |message: String| Diagnostic::error(file, node.place, message);
    let info = ConnInfo::parse(&text).map_err(|error| wrong(error.to_string()))?;
    if info.password.is_some() {
        return Err(wrong("a password does not belong into a file that is committed".to_owned())
            .with_hint("take it out; `backlot init --on` with the whole URL keeps it beside"));
    }
    Ok(text)
}

fn text_of(node: &Node, file: &str) -> Result<String, Diagnostic> {
    if let Tree::Text(text) = &node.tree {
        return Ok(text.clone());
    }
    let found = node.tree.describe();
    Err(Diagnostic::error(file, node.place, format!("a string is wanted, not {found}")))
}

fn number_of(node: &Node, file: &str) -> Result<u32, Diagnostic> {
    if let Tree::Int(number) = node.tree
        && let Ok(number) = u32::try_from(number)
    {
        return Ok(number);
    }
    let found = node.tree.describe();
    Err(Diagnostic::error(file, node.place, format!("a major version is wanted, not {found}")))
}

/// True if a project can be called so.
///
/// # Errors
/// [`ProjectError::BadName`] with what is wrong.
pub fn is_project_name(name: &str) -> Result<(), ProjectError> {
    let bad = |reason| Err(ProjectError::BadName { name: name.to_owned(), reason });
    if name.is_empty() || name.len() > NAME_LIMIT {
        return bad("1 to 63 characters");
    }
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')) {
        return bad("letters, digits, `-`, `_` and `.` only");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::ProjectFile;

    #[test]
    fn a_project_file_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("project.yaml");
        let file = ProjectFile {
            name: "shop".into(),
            postgres: 18,
            default_branch: "main".into(),
            server: Some("https://team.example".into()),
            foreign_server: Some("postgresql://dev@db.example:5432/app".into()),
        };
        file.write(&path).unwrap();
        assert_eq!(ProjectFile::read(&path).unwrap(), file);
    }

    #[test]
    fn a_mistake_is_shown_with_its_place() {
        let message = |text: &str| ProjectFile::parse(text, "p.yaml").unwrap_err().to_string();
        assert!(message("name: a\nposgres: 15\n").starts_with("p.yaml:2:1: error"));
        assert!(message("name: a\nposgres: 15\n").contains("did you mean `postgres`?"));
        assert!(message("name: a\npostgres: new\n").contains("p.yaml:2:11"));
        assert!(message("name: a\n").contains("`postgres` is missing"));
        let secret = message("name: a\npostgres: 15\nforeign_server: postgres://u:hunter2@h/d\n");
        assert!(secret.contains("p.yaml:3:17") && !secret.contains("hunter2"), "{secret}");
    }
}
