//! A `PostgreSQL` server of our own on this machine: find its binaries, make a data directory,
//! start it, stop it, follow it to its end.
//!
//! Guarantees: a server is reached through a private socket directory (mode 0700) and, when
//! asked, through 127.0.0.1 with a SCRAM password; it never listens elsewhere. Run by root, it
//! runs as an unprivileged account, because `postgres` refuses root. Only processes whose
//! working directory is our data directory are ever signalled. Blocking std IO throughout: call
//! it from a blocking thread in async code.
//!
//! It never reads the environment (the caller passes `PATH`, `HOME` and any named directories
//! in a [`Search`]), and it never touches a server that it does not own.

mod account;
mod binaries;
mod config;
mod error;
mod freeze;
mod guard;
mod initdb;
mod layout;
mod pause;
mod ping;
mod postmaster;
mod search;
mod server;

pub use account::Account;
pub use binaries::Binaries;
pub use config::{Durability, Listen, ServerOptions, WalLevel};
pub use error::InstanceError;
pub use freeze::Frozen;
pub use guard::ServerGuard;
pub(crate) use layout::{NO_LINK, last_lines, socket_dir, socket_dir_fits, write_private};
pub use pause::Paused;
pub use search::Search;
pub use server::{SUPERUSER, Server, StopMode};
