//! One variable in a file of variables, as `.env.local`; the other lines stay as they are.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use secrecy::{ExposeSecret, SecretString};

use super::{ProjectError, write_whole};
use crate::instance::NO_LINK;

/// Only the owner: the value is a URL with a password.
const MODE: u32 = 0o600;

/// Sets `name` to `value`; makes the file if there is none. Afterwards only its owner can read it.
///
/// # Errors
/// [`ProjectError::File`]; [`ProjectError::Link`], since what it points to may be anybody's.
pub fn write_variable(path: &Path, name: &str, value: &SecretString) -> Result<(), ProjectError> {
    let text = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_symlink() => {
            return Err(ProjectError::Link { path: path.to_owned() });
        }
        Ok(_) => read(path)?,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(ProjectError::file("look at", path)(error)),
    };
    // In its place, so that an old mode does not hold for a moment.
    write_whole(path, &with_variable(&text, name, value.expose_secret()), MODE)
}

fn read(path: &Path) -> Result<String, ProjectError> {
    let mut text = String::new();
    OpenOptions::new()
        .read(true)
        .custom_flags(NO_LINK)
        .open(path)
        .and_then(|mut file| file.read_to_string(&mut text))
        .map_err(ProjectError::file("read", path))?;
    Ok(text)
}

fn with_variable(text: &str, name: &str, value: &str) -> String {
    // For a shell as for a reader of such files; `'` is percent-encoded in a URL.
    let quote = if value.contains(['&', ' ', ';', '#', '$']) { "'" } else { "" };
    let line = format!("{name}={quote}{value}{quote}");
    let mut is_set = false;
    let mut lines: Vec<&str> = Vec::new();
    for old in text.lines() {
        let plain = old.trim_start();
        let plain = plain.strip_prefix("export ").unwrap_or(plain);
        if plain.split_once('=').is_some_and(|(key, _)| key.trim() == name) {
            if !is_set {
                lines.push(&line);
            }
            is_set = true;
        } else {
            lines.push(old);
        }
    }
    if !is_set {
        lines.push(&line);
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::{ProjectError, with_variable, write_variable};
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_file_with_a_password_is_its_owners_and_no_link() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join(".env"), dir.path().join("link"));
        std::fs::write(&file, "A=1\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        write_variable(&file, "URL", &"secret".into()).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "A=1\nURL=secret\n");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        symlink(&file, &link).unwrap();
        let error = write_variable(&link, "URL", &"other".into()).unwrap_err();
        assert!(matches!(error, ProjectError::Link { .. }), "{error}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "A=1\nURL=secret\n");
    }

    #[test]
    fn a_shell_reads_the_value_that_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(".env");
        for url in ["postgres://u:p@h/d", "postgres:///d?host=%2Frun&port=1&options=-c%20a%3Db"] {
            write_variable(&file, "URL", &url.into()).unwrap();
            let script = format!(". {} && printf %s \"$URL\"", file.display());
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), url);
        }
    }

    #[test]
    fn one_variable_is_set_and_everything_else_stays() {
        let text = "# mine\nA=1\nexport URL=old\nURL=older\nB=2";
        assert_eq!(with_variable(text, "URL", "new"), "# mine\nA=1\nURL=new\nB=2\n");
        assert_eq!(with_variable("", "URL", "new"), "URL=new\n");
        assert_eq!(with_variable("URLS=1\n", "URL", "new"), "URLS=1\nURL=new\n");
    }
}
