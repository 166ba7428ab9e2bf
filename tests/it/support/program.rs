//! Runs the built `backlot`, with a clean environment: no prompt, no colour, no user's settings.

use std::{
    ffi::OsStr,
    fmt,
    path::Path,
    process::{Command, Stdio},
};

/// So much of each output is shown of a run that failed.
const SHOWN_BYTES: usize = 1500;

/// What a run left.
pub(crate) struct Output {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// None when a signal ended it.
    pub(crate) code: Option<i32>,
}

/// The ends of both: what CI keeps of a failure is short.
impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (out, err) = (end(&self.stdout), end(&self.stderr));
        write!(f, "code {:?}\nstdout: {out}\nstderr: {err}", self.code)
    }
}

/// The last lines of a text.
fn end(text: &str) -> &str {
    let from = text.len().saturating_sub(SHOWN_BYTES);
    (from..text.len()).find_map(|at| text.get(at..)).unwrap_or_default()
}

impl Output {
    /// Panics with the ends of both outputs unless the run ended with `code`.
    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// The one JSON document on stdout.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        match serde_json::from_str(&self.stdout) {
            Ok(document) => document,
            Err(error) => panic!("{error}; {self:?}"),
        }
    }
}

/// Runs `backlot ARGS` in `dir` with only PATH, HOME and `env` in its environment.
pub(crate) fn backlot<A: AsRef<OsStr>>(dir: &Path, args: &[A], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_backlot"));
    command.args(args).current_dir(dir).env_clear().stdin(Stdio::null());
    for name in ["PATH", "HOME", "TMPDIR"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    let output = command.envs(env.iter().copied()).output().unwrap();
    Output {
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code(),
    }
}
