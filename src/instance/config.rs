//! How a server of ours is set up: the options a caller chooses and the settings they become.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

use secrecy::SecretString;

use super::InstanceError;

/// Where a server listens. Its private socket is always open (trust: the directory is the lock).
#[derive(Clone, Debug, Default)]
pub enum Listen {
    /// Only on the socket: nothing on the network, no password, no port to clash.
    #[default]
    Socket,
    /// On 127.0.0.1 as well, with SCRAM. The password is set when the cluster is made: a cluster
    /// made with [`Listen::Socket`] refuses TCP for good. `port: None` takes a free one at each
    /// start.
    Loopback { port: Option<u16>, password: SecretString },
}

/// What a crash of the machine may cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// `PostgreSQL`'s own promises.
    #[default]
    Durable,
    /// Nothing is ever synced: for tests and demos, whose data can be made again.
    Scratch,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WalLevel {
    #[default]
    Replica,
    /// Can be streamed from.
    Logical,
}

#[derive(Clone, Debug, Default)]
pub struct ServerOptions {
    pub listen: Listen,
    pub durability: Durability,
    pub wal_level: WalLevel,
    /// Further settings, `(name, value)`; they win over ours.
    pub settings: Vec<(String, String)>,
    /// Settings on the server's command line: they win over everything, `ALTER SYSTEM` included.
    pub forced: Vec<(String, String)>,
    /// Where the socket is, instead of beside the data directory.
    pub socket_dir: Option<PathBuf>,
    /// The log, instead of `<data directory>.log`.
    pub log_path: Option<PathBuf>,
    /// `pg_hba.conf`, written at every start; without it, what initdb wrote holds.
    pub access: Option<String>,
    /// Pages of a new cluster carry checksums.
    pub data_checksums: bool,
}

impl ServerOptions {
    /// For tests and the demo: socket only, nothing synced, streamable.
    pub fn scratch() -> Self {
        Self { durability: Durability::Scratch, wal_level: WalLevel::Logical, ..Self::default() }
    }

    /// Adds a setting.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The forced settings as arguments of `postgres`.
    pub(super) fn arguments(&self) -> Result<Vec<String>, InstanceError> {
        let argument = |(name, value): &(String, String)| {
            check_setting(name, value)?;
            Ok(["-c".to_owned(), format!("{name}={value}")])
        };
        let arguments = self.forced.iter().map(argument).collect::<Result<Vec<_>, _>>()?;
        Ok(arguments.into_iter().flatten().collect())
    }

    /// The text of the settings file, which `postgresql.conf` includes last.
    pub(super) fn render(
        &self,
        major: u32,
        port: u16,
        socket_dir: &Path,
    ) -> Result<String, InstanceError> {
        let mut text = String::from("# Written by backlot at every start: changes are lost.\n");
        let addresses = match self.listen {
            Listen::Socket => "",
            Listen::Loopback { .. } => "127.0.0.1",
        };
        // Quoted twice: an element of a list of directories, inside a setting.
        let socket_dir = format!("\"{}\"", socket_dir.display().to_string().replace('"', "\"\""));
        let (port, wal_level) = (port.to_string(), self.wal_level.name());
        let mut settings = vec![
            ("listen_addresses", addresses),
            ("port", &port),
            ("unix_socket_directories", &socket_dir),
            ("unix_socket_permissions", "0700"),
            ("wal_level", wal_level),
            ("logging_collector", "off"),
            ("lc_messages", "C"),
            // A failing statement's text, DETAIL and CONTEXT quote row values. The log of a
            // database that is to hold nobody's data must not hold any either.
            ("log_error_verbosity", "terse"),
            ("log_min_error_statement", "panic"),
        ];
        if cfg!(target_os = "linux") && major >= 14 {
            // Crash recovery fsyncs every file first; one syncfs instead took 1.7–5 s to 50–90 ms.
            settings.push(("recovery_init_sync_method", "syncfs"));
        }
        if self.durability == Durability::Scratch {
            let off = ["fsync", "synchronous_commit", "full_page_writes"];
            settings.extend(off.map(|name| (name, "off")));
        }
        settings.extend(self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        for (name, value) in settings {
            check_setting(name, value)?;
            let value = value.replace('\\', r"\\").replace('\'', "''");
            writeln!(text, "{name} = '{value}'").expect("a String takes any text");
        }
        Ok(text)
    }
}

impl WalLevel {
    fn name(self) -> &'static str {
        match self {
            Self::Replica => "replica",
            Self::Logical => "logical",
        }
    }
}

fn check_setting(name: &str, value: &str) -> Result<(), InstanceError> {
    let bad = |reason| Err(InstanceError::BadSetting { name: name.to_owned(), reason });
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    if name.is_empty() || !name.chars().all(plain) {
        return bad("a name has letters, digits, `_` and `.` only");
    }
    if value.chars().any(char::is_control) {
        return bad("a value has no line breaks or control characters");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{ServerOptions, WalLevel};

    #[test]
    fn settings_are_quoted_and_the_callers_come_last() {
        let options = ServerOptions { wal_level: WalLevel::Logical, ..ServerOptions::default() }
            .with("app.greeting", r"it's a \ ")
            .with("wal_level", "minimal");
        let text = options.render(18, 5432, Path::new("/tmp/a, b")).unwrap();
        assert!(text.contains("unix_socket_directories = '\"/tmp/a, b\"'\n"), "{text}");
        assert!(text.contains(r"app.greeting = 'it''s a \\ '"), "{text}");
        assert!(text.ends_with("wal_level = 'minimal'\n"), "{text}");
        assert!(text.contains("listen_addresses = ''\n"), "{text}");
    }

    #[test]
    fn a_setting_cannot_smuggle_a_second_line() {
        for (name, value) in [("a", "x'\nfsync = off"), ("a b", "x"), ("", "x")] {
            let options = ServerOptions::default().with(name, value);
            assert!(options.render(15, 1, Path::new("/s")).is_err(), "{name}");
        }
    }
}
