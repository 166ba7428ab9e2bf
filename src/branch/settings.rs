//! What can be changed of a branch.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::{Branch, BranchError, Home, Moment, Place, foreign, port, template};
use crate::project::{Credentials, new_password};

/// One change of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Protected(bool),
    /// None: never.
    ExpiresAt(Option<Moment>),
    /// None: never.
    SleepAfter(Option<Duration>),
    /// A client was there.
    UsedAt(Moment),
    /// Another free port.
    NewPort,
    Port(u16),
    /// A setting of the server; None takes it away. From the next start.
    Setting(String, Option<String>),
}

/// Settings that say where the server is, and would part it from us.
const OURS: [&str; 10] = [
    "cluster_name",
    "config_file",
    "data_directory",
    "external_pid_file",
    "hba_file",
    "ident_file",
    "listen_addresses",
    "port",
    "unix_socket_directories",
    "unix_socket_permissions",
];

/// Changes a branch. Gives what it is now.
///
/// # Errors
/// [`BranchError::None`], [`BranchError::BadSetting`], [`BranchError::NoPort`],
/// [`BranchError::Foreign`], [`BranchError::NotOurs`].
pub fn change(home: &Home, name: &str, changes: &[Change]) -> Result<Branch, BranchError> {
    home.catalog().change(|rows| {
        let id = rows.ready(name)?.id.clone();
        let mut taken = rows.ports();
        let row = rows.by_id_mut(&id)?;
        for change in changes {
            require_possible(row, change)?;
            match change {
                Change::Protected(protected) => row.protected = *protected,
                Change::ExpiresAt(moment) => row.expires_at = *moment,
                Change::SleepAfter(time) => {
                    row.sleep_after_seconds = time.map(|time| time.as_secs());
                }
                Change::UsedAt(moment) => row.last_used_at = row.last_used_at.max(*moment),
                Change::NewPort => {
                    // Its own is in the list: another one is found.
                    row.port = port::choose(&format!("{}/{}", home.project, row.name), &taken)?;
                    taken.insert(row.port);
                }
                Change::Port(0) => {
                    return Err(bad("port", "0 is no port; `auto` takes a free one".to_owned()));
                }
                Change::Port(port) => {
                    if *port != row.port && (taken.contains(port) || !port::is_free(*port)) {
                        return Err(bad("port", format!("{port} is taken")));
                    }
                    row.port = *port;
                }
                Change::Setting(name, value) => set(row, name, value.as_deref())?,
            }
        }
        Ok(row.clone())
    })
}

/// What backlot does not run it does not change.
fn require_possible(row: &Branch, change: &Change) -> Result<(), BranchError> {
    if row.place == Place::Own {
        return Ok(());
    }
    match change {
        Change::Protected(false) => template::require_made(row),
        Change::Protected(true) | Change::ExpiresAt(_) | Change::UsedAt(_) => Ok(()),
        Change::SleepAfter(_) => foreign::require_own(row, "put to sleep"),
        Change::NewPort | Change::Port(_) => foreign::require_own(row, "set the port of"),
        Change::Setting(..) => foreign::require_own(row, "change the settings of"),
    }
}

fn set(row: &mut Branch, name: &str, value: Option<&str>) -> Result<(), BranchError> {
    // As the server takes them: `Port` is `port`.
    let name = name.to_ascii_lowercase();
    let name = name.as_str();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    if name.is_empty() || !name.chars().all(plain) {
        return Err(bad(name, "a setting has letters, digits, `_` and `.` only".to_owned()));
    }
    if OURS.contains(&name) {
        return Err(bad(name, "backlot sets it itself".to_owned()));
    }
    match value {
        Some(value) if value.chars().any(char::is_control) => {
            Err(bad(name, "a value has no line breaks or control characters".to_owned()))
        }
        Some(value) => {
            row.settings.insert(name.to_owned(), value.to_owned());
            Ok(())
        }
        None => {
            row.settings.remove(name);
            Ok(())
        }
    }
}

fn bad(key: &str, reason: String) -> BranchError {
    BranchError::BadSetting { key: key.to_owned(), reason }
}

/// Gives the branch another password, at once. Sessions that are open stay.
///
/// # Errors
/// [`BranchError::None`], [`BranchError::NotReady`].
pub fn rotate_password(home: &Home, name: &str) -> Result<SecretString, BranchError> {
    let branch = home.catalog().read()?.ready(name)?.clone();
    foreign::require_own(&branch, "change the password of")?;
    let password = new_password()?;
    let scram_verifier =
        postgres_protocol::password::scram_sha_256(password.expose_secret().as_bytes());
    home.catalog().change(|rows| {
        rows.by_id_mut(&branch.id)?.scram_verifier = scram_verifier;
        Credentials::read(&home.state)?.set(&branch.id, password.clone())?;
        Ok(())
    })?;
    Ok(password)
}
