//! What can go wrong with the proxy itself, or with one client of it.

use std::{io, path::PathBuf, time::Duration};

use crate::branch::BranchError;

#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    #[error("{action} {path}")]
    File { action: &'static str, path: PathBuf, source: io::Error },
    #[error(transparent)]
    Branch(#[from] BranchError),
    #[error("start the proxy: {reason}")]
    NotStarted { reason: String, log: PathBuf },
    #[error("bind port {port} of branch {branch}: {reason}")]
    PortTaken { branch: String, port: u16, reason: String },
    #[error("stop the proxy: process {pid} still runs after {waited:?}")]
    NotStopped { pid: u32, waited: Duration },
    #[error("the connection to a client broke")]
    Client(#[source] io::Error),
    #[error("a client sent {0}")]
    Protocol(&'static str),
}

impl ProxyError {
    pub(super) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}

/// An error with its causes, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}
