//! Flags and variables of all verbs of `roll`. A flag goes before its variable; the variables are
//! pgroll's.

use crate::cli::environment;
use crate::cli::failure::Failure;
use crate::ddl::Patience;
use crate::pg::ConnInfo;
use crate::roll::{Backfilling, Options};
use clap::Args;
use secrecy::SecretString;
use std::time::Duration;

#[derive(Args, Clone, Default)]
pub(in crate::cli) struct ServerArgs {
    /// The database that is migrated (or PGROLL_PG_URL)
    #[arg(long, value_name = "URL", global = true)]
    postgres_url: Option<String>,
    /// A branch of the project, instead of a URL [default: the checked-out branch]
    #[arg(long, value_name = "BRANCH", global = true)]
    branch: Option<String>,
    /// The schema that is migrated [default: public] (or PGROLL_SCHEMA)
    #[arg(long, value_name = "NAME", global = true)]
    schema: Option<String>,
    /// The schema that remembers migrations [default: pgroll] (or PGROLL_STATE_SCHEMA)
    #[arg(long, value_name = "NAME", global = true, alias = "state-schema")]
    pgroll_schema: Option<String>,
    /// Longest wait for a lock in ms; 0: no limit [default: 500] (or PGROLL_LOCK_TIMEOUT)
    #[arg(long, value_name = "MS", global = true)]
    lock_timeout: Option<u64>,
    /// Run statements with the rights of this role (or PGROLL_ROLE)
    #[arg(long, value_name = "ROLE", global = true)]
    role: Option<String>,
    /// Make a schema of views for each version [default: true] (or PGROLL_USE_VERSION_SCHEMA)
    #[arg(long, value_name = "BOOL", global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    use_version_schema: Option<bool>,
    /// Say which step is run (or PGROLL_VERBOSE)
    #[arg(long, global = true)]
    verbose: bool,
    /// Tries of a step that gets no lock
    #[arg(long, value_name = "N", global = true, hide_short_help = true)]
    lock_attempts: Option<u32>,
    /// Longest time for one concurrent index build (30m, 2h)
    #[arg(long, value_name = "TIME", global = true, hide_short_help = true, value_parser = duration)]
    build_timeout: Option<Duration>,
}

impl ServerArgs {
    /// As if nothing but the URL was given.
    pub(super) fn of_url(url: &str) -> Self {
        Self { postgres_url: Some(url.to_owned()), ..Self::default() }
    }

    pub(super) fn options(&self, backfill: Backfilling) -> Result<Options, Failure> {
        let (_, server) = self.server()?;
        let plain = Patience::default();
        let lock_timeout = match (self.lock_timeout, environment::text("PGROLL_LOCK_TIMEOUT")) {
            (Some(ms), _) => Duration::from_millis(ms),
            (None, Some(text)) => Duration::from_millis(number("PGROLL_LOCK_TIMEOUT", &text)?),
            (None, None) => plain.lock_timeout,
        };
        Ok(Options {
            server,
            schema: self.schema(),
            state_schema: chosen(self.pgroll_schema.as_ref(), "PGROLL_STATE_SCHEMA")
                .unwrap_or_else(|| "pgroll".to_owned()),
            role: chosen(self.role.as_ref(), "PGROLL_ROLE"),
            patience: Patience {
                lock_timeout,
                attempts: self.lock_attempts.unwrap_or(plain.attempts),
                build_limit: self.build_timeout.unwrap_or(plain.build_limit),
                ..plain
            },
            backfill,
        })
    }

    pub(super) fn branch(&self) -> Option<&str> {
        self.branch.as_deref()
    }

    /// Whether a database was named at all.
    pub(super) fn is_given(&self) -> bool {
        self.branch.is_some()
            || self.postgres_url.is_some()
            || environment::text("PGROLL_PG_URL").is_some()
    }

    /// The URL as it was given, and read.
    pub(super) fn server(&self) -> Result<(SecretString, ConnInfo), Failure> {
        environment::server(self.postgres_url.as_deref(), "PGROLL_PG_URL", "--postgres-url")
    }

    pub(super) fn schema(&self) -> String {
        chosen(self.schema.as_ref(), "PGROLL_SCHEMA").unwrap_or_else(|| "public".to_owned())
    }

    pub(super) fn uses_version_schema(&self) -> Result<bool, Failure> {
        switch(self.use_version_schema, "PGROLL_USE_VERSION_SCHEMA", true)
    }

    pub(super) fn is_verbose(&self) -> Result<bool, Failure> {
        switch(self.verbose.then_some(true), "PGROLL_VERBOSE", false)
    }
}

fn chosen(flag: Option<&String>, variable: &str) -> Option<String> {
    flag.filter(|text| !text.is_empty()).cloned().or_else(|| environment::text(variable))
}

/// A flag that may also be a variable, in the words that Go reads.
pub(super) fn switch(flag: Option<bool>, variable: &str, otherwise: bool) -> Result<bool, Failure> {
    match (flag, environment::text(variable).as_deref()) {
        (Some(flag), _) => Ok(flag),
        (None, None) => Ok(otherwise),
        (None, Some("1" | "t" | "T" | "true" | "TRUE" | "True")) => Ok(true),
        (None, Some("0" | "f" | "F" | "false" | "FALSE" | "False")) => Ok(false),
        (None, Some(_)) => Err(Failure::usage(format!("{variable} is neither true nor false"))),
    }
}

fn number(variable: &str, text: &str) -> Result<u64, Failure> {
    text.parse().map_err(|_| Failure::usage(format!("{variable} is not a number")))
}

/// As Go writes them: `1.5s`, `100ms`, `1h30m`, `0`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write it as 100ms, 30s, 15m or 2h".to_owned();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (count, after) = rest.split_at(digits);
        let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let scale = match unit {
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(wrong()),
        };
        let count: f64 = count.parse().map_err(|_| wrong())?;
        total += Duration::try_from_secs_f64(count * scale).map_err(|_| wrong())?;
        rest = after;
    }
    if text.is_empty() { Err(wrong()) } else { Ok(total) }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_are_written_as_go_writes_them() {
        let ms = |text: &str| duration(text).map(|time| time.as_millis()).ok();
        assert_eq!(ms("100ms"), Some(100));
        assert_eq!(ms("1.5s"), Some(1500));
        assert_eq!(ms("1h30m"), Some(5_400_000));
        assert_eq!(ms("0"), Some(0));
        for bad in ["", "5", "soon", "5 s", "s"] {
            assert_eq!(ms(bad), None, "{bad}");
        }
    }
}
