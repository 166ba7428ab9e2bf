//! initdb: makes the files of a new cluster.

use std::{fs, process::Stdio};

use secrecy::ExposeSecret;

use super::{
    Durability, InstanceError, Listen, Server,
    layout::{self, beside},
    server::SUPERUSER,
};

impl Server {
    pub(super) fn run_initdb(&self) -> Result<(), InstanceError> {
        let mut command = self.command(&self.binaries().program("initdb"));
        command.arg("--pgdata").arg(self.data_dir()).current_dir(self.data_dir());
        command.args(["--username", SUPERUSER, "--encoding", "UTF8", "--auth-local", "trust"]);
        // macOS has no C.UTF-8 before 14, and its UTF-8 ctype goes with any collation.
        let locale: &[&str] = if cfg!(target_os = "macos") {
            &["--locale", "C", "--lc-ctype", "UTF-8"]
        } else {
            &["--locale", "C.UTF-8"]
        };
        command.args(locale).arg("--no-instructions");
        if self.options().durability == Durability::Scratch {
            command.arg("--no-sync");
        }
        if self.options().data_checksums {
            command.arg("--data-checksums");
        }
        let password_file = beside(self.data_dir(), ".pw");
        match &self.options().listen {
            Listen::Socket => _ = command.args(["--auth-host", "reject"]),
            Listen::Loopback { password, .. } => {
                layout::write_private(&password_file, password.expose_secret(), self.account())?;
                command.args(["--auth-host", "scram-sha-256", "--pwfile"]).arg(&password_file);
            }
        }
        let output = command.stdin(Stdio::null()).output();
        // Absent when there is no password; left behind it would be a password in a file.
        let _ = fs::remove_file(&password_file);
        let output = output.map_err(|source| self.run_error("initdb", source))?;
        if output.status.success() {
            return Ok(());
        }
        Err(InstanceError::Failed {
            program: self.binaries().program("initdb"),
            status: output.status.to_string(),
            output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }
}
