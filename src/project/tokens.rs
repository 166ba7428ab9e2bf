//! Tokens for team servers, by the server's address: one file per user, mode 0600.

use std::{
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret, SecretString};

use super::{ProjectError, write_whole};

pub struct Tokens {
    path: PathBuf,
    tokens: BTreeMap<String, SecretString>,
}

impl Tokens {
    /// # Errors
    /// [`ProjectError::File`], [`ProjectError::Broken`].
    pub fn read(path: &Path) -> Result<Self, ProjectError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => "{}".to_owned(),
            Err(error) => return Err(ProjectError::file("read", path)(error)),
        };
        let parsed: BTreeMap<String, String> = serde_json::from_str(&text).map_err(|_| {
            let reason = "it is not the JSON that backlot writes".to_owned();
            ProjectError::Broken { path: path.to_owned(), reason }
        })?;
        let tokens = parsed.into_iter().map(|(server, token)| (server, token.into())).collect();
        Ok(Self { path: path.to_owned(), tokens })
    }

    pub fn has(&self, server: &str) -> bool {
        self.tokens.contains_key(server)
    }

    /// # Errors
    /// [`ProjectError::File`].
    pub fn set(&mut self, server: &str, token: SecretString) -> Result<(), ProjectError> {
        self.tokens.insert(server.to_owned(), token);
        self.write()
    }

    /// Forgets a token; true if there was one.
    ///
    /// # Errors
    /// [`ProjectError::File`].
    pub fn remove(&mut self, server: &str) -> Result<bool, ProjectError> {
        let was_there = self.tokens.remove(server).is_some();
        if was_there {
            self.write()?;
        }
        Ok(was_there)
    }

    fn write(&self) -> Result<(), ProjectError> {
        if let Some(parent) = self.path.parent() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(parent)
                .map_err(ProjectError::file("make", parent))?;
        }
        let plain: serde_json::Map<_, _> = self
            .tokens
            .iter()
            .map(|(server, token)| (server.clone(), token.expose_secret().into()))
            .collect();
        write_whole(&self.path, &serde_json::Value::from(plain).to_string(), 0o600)
    }
}
