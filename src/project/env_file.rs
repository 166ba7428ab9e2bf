//! One variable in a file of variables, as `.env.local`; the other lines stay as they are.

use std::{fs, io::ErrorKind, os::unix::fs::PermissionsExt, path::Path};

use secrecy::{ExposeSecret, SecretString};

use super::{ProjectError, write_whole};

/// Only the owner: the value is a URL with a password.
const MODE: u32 = 0o600;

/// Sets `name` to `value`; makes the file if there is none. An existing file keeps its mode.
///
/// # Errors
/// [`ProjectError::File`].
pub fn write_variable(path: &Path, name: &str, value: &SecretString) -> Result<(), ProjectError> {
    let (text, mode) = match fs::read_to_string(path) {
        Ok(text) => {
            let meta = fs::metadata(path).map_err(ProjectError::file("look at", path))?;
            (text, meta.permissions().mode() & 0o777)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => (String::new(), MODE),
        Err(error) => return Err(ProjectError::file("read", path)(error)),
    };
    write_whole(path, &with_variable(&text, name, value.expose_secret()), mode)
}

fn with_variable(text: &str, name: &str, value: &str) -> String {
    let line = format!("{name}={value}");
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
    use super::with_variable;

    #[test]
    fn one_variable_is_set_and_everything_else_stays() {
        let text = "# mine\nA=1\nexport URL=old\nURL=older\nB=2";
        assert_eq!(with_variable(text, "URL", "new"), "# mine\nA=1\nURL=new\nB=2\n");
        assert_eq!(with_variable("", "URL", "new"), "URL=new\n");
        assert_eq!(with_variable("URLS=1\n", "URL", "new"), "URLS=1\nURL=new\n");
    }
}
