//! Passwords of branches: `.backlot/state/credentials`, mode 0600.

use std::{collections::BTreeMap, fs, io::ErrorKind, path::PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::{ProjectError, State, random_bytes, write_whole};

/// The passwords, by the id of their branch. Change it only under the catalog's lock.
pub struct Credentials {
    path: PathBuf,
    passwords: BTreeMap<String, SecretString>,
}

impl Credentials {
    /// # Errors
    /// [`ProjectError::File`], [`ProjectError::Broken`].
    pub fn read(state: &State) -> Result<Self, ProjectError> {
        let path = state.credentials();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => "{}".to_owned(),
            Err(error) => return Err(ProjectError::file("read", path)(error)),
        };
        let parsed: BTreeMap<String, String> = serde_json::from_str(&text).map_err(|_| {
            // The parser's words quote what it found.
            let reason = "it is not the JSON that backlot writes".to_owned();
            ProjectError::Broken { path: path.clone(), reason }
        })?;
        let passwords = parsed.into_iter().map(|(id, text)| (id, text.into())).collect();
        Ok(Self { path, passwords })
    }

    pub fn password(&self, id: &str) -> Option<&SecretString> {
        self.passwords.get(id)
    }

    /// # Errors
    /// [`ProjectError::File`].
    pub fn set(&mut self, id: &str, password: SecretString) -> Result<(), ProjectError> {
        self.passwords.insert(id.to_owned(), password);
        self.write()
    }

    /// # Errors
    /// [`ProjectError::File`].
    pub fn remove(&mut self, id: &str) -> Result<(), ProjectError> {
        if self.passwords.remove(id).is_some() { self.write() } else { Ok(()) }
    }

    fn write(&self) -> Result<(), ProjectError> {
        let plain: serde_json::Map<_, _> = self
            .passwords
            .iter()
            .map(|(id, password)| (id.clone(), password.expose_secret().into()))
            .collect();
        write_whole(&self.path, &serde_json::Value::from(plain).to_string(), 0o600)
    }
}

/// A password of 160 bits, in letters and digits.
///
/// # Errors
/// [`ProjectError::File`].
pub fn new_password() -> Result<SecretString, ProjectError> {
    Ok(hex::encode(random_bytes::<20>()?).into())
}
