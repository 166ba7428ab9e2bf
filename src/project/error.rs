//! What can go wrong with a project's files.

use std::{io, path::PathBuf};

use crate::document::Diagnostic;

#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    #[error("{action} {path}")]
    File { action: &'static str, path: PathBuf, source: io::Error },
    #[error("write {path}: it is a symbolic link")]
    Link { path: PathBuf },
    #[error("no project in {folder} or above it")]
    None { folder: PathBuf },
    #[error("{0}")]
    Invalid(Box<Diagnostic>),
    #[error("read {path}: {reason}")]
    Broken { path: PathBuf, reason: String },
    #[error("use `{name}` as the name of a project: {reason}")]
    BadName { name: String, reason: &'static str },
}

impl ProjectError {
    pub(super) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}
