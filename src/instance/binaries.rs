//! One installed `PostgreSQL`: where its programs are and which version they are.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::{InstanceError, Search};

const CLIENT_TOOLS: [&str; 3] = ["pg_dump", "pg_restore", "psql"];

/// The programs of one `PostgreSQL` installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    /// Holds `postgres` and `initdb`; canonical.
    pub bin_dir: PathBuf,
    /// 15, 18, …
    pub major: u32,
    /// As `postgres --version` prints it: `15.18 (Debian 15.18-0+deb12u1)`.
    pub version: String,
    /// `pg_dump`, `pg_restore` and `psql` are there too.
    pub has_client_tools: bool,
}

impl Binaries {
    /// The first installation in search order, one with client tools before one without;
    /// of major version `wanted` when given.
    ///
    /// # Errors
    /// [`InstanceError::BinariesMissing`] when nothing fits.
    pub fn find(search: &Search, wanted: Option<u32>) -> Result<Self, InstanceError> {
        let found = search.run();
        let fits = |binaries: &&Self| wanted.is_none_or(|major| major == binaries.major);
        let fitting: Vec<&Self> = found.binaries.iter().filter(fits).collect();
        let best = fitting.iter().find(|binaries| binaries.has_client_tools).or(fitting.first());
        best.map(|binaries| (*binaries).clone()).ok_or(InstanceError::BinariesMissing {
            wanted,
            searched: found.searched,
            skipped: found.skipped,
        })
    }

    /// Every installation, in search order, each once.
    pub fn all(search: &Search) -> Vec<Self> {
        search.run().binaries
    }

    /// The installation in `bin_dir`: None unless it has a `postgres` that tells its version and
    /// an `initdb`.
    pub fn probe(bin_dir: &Path) -> Option<Self> {
        let bin_dir = bin_dir.canonicalize().ok()?;
        if !bin_dir.join("initdb").is_file() {
            return None;
        }
        let output = Command::new(bin_dir.join("postgres")).arg("--version").output().ok()?;
        let version = parse_version(std::str::from_utf8(&output.stdout).ok()?)?;
        let major = parse_major(version)?;
        let has_client_tools = CLIENT_TOOLS.iter().all(|tool| bin_dir.join(tool).is_file());
        Some(Self { version: version.to_owned(), major, has_client_tools, bin_dir })
    }

    /// The path of one program.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin_dir.join(name)
    }
}

/// `postgres --version` without its first two words: `15.18 (Debian …)`.
fn parse_version(output: &str) -> Option<&str> {
    Some(output.trim().strip_prefix("postgres (PostgreSQL)")?.trim_start())
}

/// `15.18 …`, `19devel`, `19beta1` → 15, 19, 19. Before 10 the major version had two parts:
/// those are too old for this program and are not found.
fn parse_major(version: &str) -> Option<u32> {
    let digits = version.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok().filter(|major| *major >= 10)
}

#[cfg(test)]
mod tests {
    use super::{parse_major, parse_version};

    #[test]
    fn the_major_version_is_read_from_releases_and_previews() {
        let debian = "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n";
        assert_eq!(parse_version(debian), Some("15.18 (Debian 15.18-0+deb12u1)"));
        assert_eq!(parse_version("psql (PostgreSQL) 15.18"), None);
        for (version, major) in
            [("18.6", Some(18)), ("19devel", Some(19)), ("9.6.1", None), ("", None)]
        {
            assert_eq!(parse_major(version), major, "{version}");
        }
    }
}
