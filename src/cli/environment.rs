//! The environment: variables, key files, connection strings, installed programs.

use super::failure::Failure;
use super::project;
use crate::branch::Moment;
use crate::clone::Tools;
use crate::instance::{Binaries, Search};
use crate::pg::ConnInfo;
use crate::random::random_bytes;
use crate::transform::key::RootKey;
use secrecy::{ExposeSecret, SecretString};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Where the key of a project lies.
pub(super) const KEY_FILE: &str = ".backlot/key";

/// A variable's value; empty counts as unset.
#[expect(clippy::disallowed_methods, reason = "this module is the reader of the environment")]
pub(super) fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Names the server that is copied.
const SOURCE_URL: &str = "BACKLOT_SOURCE_URL";

/// These name servers that a branch of the project can be.
const OF_BRANCHES: [&str; 2] = ["BACKLOT_TARGET_URL", "PGROLL_PG_URL"];

fn branch_server(variable: &str) -> Result<Option<(SecretString, ConnInfo)>, Failure> {
    if OF_BRANCHES.contains(&variable) { project::server() } else { Ok(None) }
}

/// A server from a flag, a variable, or the project's branch: the URL as given, and parsed. The password may also come
/// from `PGPASSWORD` or the password file, as libpq has it.
pub(super) fn server(
    flag: Option<&str>,
    variable: &'static str,
    flag_name: &'static str,
) -> Result<(SecretString, ConnInfo), Failure> {
    if flag.is_some() && OF_BRANCHES.contains(&variable) && project::is_branch_named() {
        return Err(Failure::usage(format!("both {flag_name} and a branch are given"))
            .hint("name one of them"));
    }
    // A branch that was named goes before a variable that happens to be set.
    let is_branch = OF_BRANCHES.contains(&variable) && project::is_branch_named();
    let url = match flag.map(str::to_owned).or_else(|| text(variable)) {
        Some(url) if flag.is_some() || !is_branch => url,
        _ => match branch_server(variable)? {
            Some(server) => return Ok(server),
            None => {
                return Err(Failure::usage(format!("no {flag_name} given"))
                    .hint(format!("use {flag_name} or set {variable}")));
            }
        },
    };
    let mut info = ConnInfo::parse(&url).map_err(|error| {
        Failure::usage(format!("{flag_name}: {error}")).hint("postgres://user@host:5432/database")
    })?;
    // Whatever reads from the source reads raw rows.
    if variable == SOURCE_URL {
        info = info.for_raw_rows();
    }
    Ok((SecretString::from(url), with_password(info)))
}

/// The password, unless the URL had one, from `PGPASSWORD` or the password file, as libpq has it.
pub(super) fn with_password(mut info: ConnInfo) -> ConnInfo {
    if info.password.is_none() {
        info.password = text("PGPASSWORD").or_else(|| password_file(&info)).map(SecretString::from);
    }
    info
}

/// As [`server`]; None if neither names one.
pub(super) fn server_if_given(
    flag: Option<&str>,
    variable: &'static str,
    flag_name: &'static str,
) -> Result<Option<(SecretString, ConnInfo)>, Failure> {
    if flag.is_none() && text(variable).is_none() {
        return Ok(None);
    }
    server(flag, variable, flag_name).map(Some)
}

/// `~/.pgpass`: `host:port:database:user:password`, `*` for any. Ignored, as by libpq, if others
/// may read it.
fn password_file(info: &ConnInfo) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let path = text("PGPASSFILE").map(PathBuf::from).or_else(|| Some(home()?.join(".pgpass")))?;
    let mode = std::fs::metadata(&path).ok()?.permissions().mode();
    if mode & 0o077 != 0 {
        return None;
    }
    let host = if info.is_unix_socket() { "localhost" } else { info.host.as_str() };
    let wanted = [host, &info.port.to_string(), &info.dbname, &info.user].map(str::to_owned);
    let file = std::fs::read_to_string(path).ok()?;
    file.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut fields = pgpass_fields(line).into_iter();
        let fits = wanted
            .iter()
            .all(|wanted| fields.next().is_some_and(|field| field == "*" || field == *wanted));
        fields.next().filter(|_| fits)
    })
}

fn pgpass_fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        let escaped = if c == '\\' { chars.next() } else { None };
        match (c, escaped, fields.last_mut()) {
            (':', None, _) => fields.push(String::new()),
            (_, escaped, Some(field)) => field.push(escaped.unwrap_or(c)),
            (_, _, None) => {}
        }
    }
    fields
}

pub(super) fn home() -> Option<PathBuf> {
    text("HOME").map(PathBuf::from)
}

/// The time of day, for what is written down.
#[expect(clippy::disallowed_methods, reason = "this module is the reader of the clock too")]
pub(super) fn now() -> Moment {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    // A clock before 1970 is set wrong: nothing expires then.
    Moment(since.map_or(0, |time| time.as_secs()))
}

/// What can be made again. Root's is where the accounts of its servers can enter.
pub(super) fn cache_dir() -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/var/cache/backlot");
    }
    let named = text("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| Some(home()?.join(".cache")));
    named.unwrap_or_else(std::env::temp_dir).join("backlot")
}

/// This program, to be run again.
pub(super) fn program() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(|error| Failure::internal(format!("find myself: {error}")))
}

/// The user's tokens.
pub(super) fn tokens_file() -> PathBuf {
    let named =
        text("XDG_CONFIG_HOME").map(PathBuf::from).or_else(|| Some(home()?.join(".config")));
    named.unwrap_or_else(|| PathBuf::from("/etc")).join("backlot/credentials.json")
}

/// Where PostgreSQL's programs may be.
pub(super) fn search() -> Search {
    let named = text("BACKLOT_PG_BIN")
        .map(|paths| std::env::split_paths(&paths).collect())
        .unwrap_or_default();
    Search { named, path: text("PATH").map(Into::into), home: home() }
}

/// `pg_dump` and `pg_restore`: the oldest that can read a server of `major`.
pub(super) fn tools(major: u32) -> Result<Tools, Failure> {
    let mut found = Binaries::all(&search());
    found.retain(|binaries| binaries.has_client_tools && binaries.major >= major);
    found.sort_by_key(|binaries| binaries.major);
    if let Some(binaries) = found.first() {
        return Ok(Tools {
            pg_dump: binaries.program("pg_dump"),
            pg_restore: binaries.program("pg_restore"),
        });
    }
    client_only(major).ok_or_else(|| {
        Failure::missing(format!("no pg_dump of PostgreSQL {major} or newer")).hint(format!(
            "install postgresql-client-{major}, or set BACKLOT_PG_BIN to the directory that has it"
        ))
    })
}

/// A machine with the client package only.
fn client_only(major: u32) -> Option<Tools> {
    let path = text("PATH")?;
    std::env::split_paths(&path).find_map(|directory| {
        let (pg_dump, pg_restore) = (directory.join("pg_dump"), directory.join("pg_restore"));
        let version = std::process::Command::new(&pg_dump).arg("--version").output().ok()?;
        let version = String::from_utf8_lossy(&version.stdout).into_owned();
        let found: u32 =
            version.split_whitespace().find_map(|word| word.split('.').next()?.parse().ok())?;
        (found >= major && pg_restore.exists()).then_some(Tools { pg_dump, pg_restore })
    })
}

/// The root key: `--key-file` (`-` for standard input), `BACKLOT_KEY`, `BACKLOT_KEY_FILE`, or
/// the project's key file, in this order. No key, no run.
pub(super) fn key(flag: Option<&Path>) -> Result<RootKey, Failure> {
    let read = |path: &Path| {
        std::fs::read_to_string(path).map(SecretString::from).map_err(|error| {
            Failure::usage(format!("read the key file {}: {error}", path.display()))
                .hint("`openssl rand -hex 32 > FILE` makes a key")
        })
    };
    let written = match flag {
        Some(path) if path == Path::new("-") => {
            let mut key = String::new();
            let limit = 4096;
            std::io::stdin().take(limit).read_to_string(&mut key).map_err(|error| {
                Failure::usage(format!("read the key from standard input: {error}"))
            })?;
            SecretString::from(key)
        }
        Some(path) => read(path)?,
        None => match (text("BACKLOT_KEY"), text("BACKLOT_KEY_FILE")) {
            (Some(key), _) => SecretString::from(key),
            (None, Some(path)) => read(Path::new(&path))?,
            (None, None) if Path::new(KEY_FILE).exists() => read(Path::new(KEY_FILE))?,
            (None, None) => {
                return Err(Failure::usage("no key: the fakes are keyed, and without one nothing is copied").hint(
                    "`backlot clone config --create-key` makes .backlot/key; or set BACKLOT_KEY to 64 hex digits \
                     (openssl rand -hex 32)",
                ));
            }
        },
    };
    RootKey::parse(written.expose_secret()).map_err(|error| {
        Failure::usage(format!("the key cannot be used: {error}")).hint("openssl rand -hex 32")
    })
}

/// Makes the project's key file, readable by its owner only and ignored by git. Leaves an
/// existing one alone; returns whether it made one.
pub(super) fn create_key() -> Result<bool, Failure> {
    use std::io::Write;
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    let failed = |error: std::io::Error| Failure::internal(format!("make {KEY_FILE}: {error}"));
    let path = Path::new(KEY_FILE);
    if path.exists() {
        return Ok(false);
    }
    let directory = Path::new(".backlot");
    if !directory.exists() {
        std::fs::DirBuilder::new().mode(0o700).create(directory).map_err(failed)?;
        std::fs::write(directory.join(".gitignore"), "*\n").map_err(failed)?;
    }
    let bytes = random_bytes::<32>().map_err(failed)?;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    writeln!(file, "{}", hex::encode(bytes)).map_err(failed)?;
    Ok(true)
}
