//! `--env-file` and `--var`: the URL goes into a file, and nowhere else.

use crate::branch::BranchError;
use crate::cli::failure::Failure;
use crate::cli::{Global, output};
use crate::project::write_variable;
use clap::Args;
use secrecy::SecretString;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(in crate::cli) struct EnvFile {
    /// Write the URL into this file of variables (as .env.local) instead of showing it
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// The variable's name
    #[arg(long, value_name = "NAME", default_value = "DATABASE_URL", requires = "env_file", value_parser = variable)]
    var: String,
}

impl EnvFile {
    pub(in crate::cli) fn path(&self) -> Option<&Path> {
        self.env_file.as_deref()
    }

    /// True if there was a file to write.
    pub(in crate::cli) fn write(&self, url: &SecretString) -> Result<bool, Failure> {
        let Some(path) = &self.env_file else { return Ok(false) };
        write_variable(path, &self.var, url).map_err(BranchError::from)?;
        Ok(true)
    }

    pub(in crate::cli) fn say(&self, global: &Global) {
        if let Some(path) = self.path()
            && !global.quiet
            && !global.json
        {
            output::say(&format!(
                "{} is set in {}: keep that file out of git",
                self.var,
                path.display()
            ));
        }
    }
}

fn variable(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.is_empty() || !text.chars().all(plain) || text.starts_with(|c: char| c.is_ascii_digit())
    {
        return Err("letters, digits and underscores".to_owned());
    }
    Ok(text.to_owned())
}
