//! The proxy: what applications connect to. One process for each project.
//!
//! Each branch has a port of its own on 127.0.0.1, which is bound also while the branch sleeps:
//! whoever connects and proves the branch's password wakes it. Passwords are checked here; the
//! server behind has no port at all, only a socket in a directory that nobody else can enter.
//! After the start of a connection bytes are passed on as they come, in both directions, and
//! nothing is read: every driver, COPY and replication work as without it.
//!
//! It puts a branch to sleep when nothing was asked of it for a while and no work is open, and
//! never otherwise. Others (`branch create`, `stop`, `delete`) keep clients out through the
//! branch's lock, which the proxy shares while it connects a client.
//!
//! It holds no state that counts: killed at any moment, another one takes over. It listens on
//! nothing but the loopback, logs no statement and no value, and never sees a password.

mod daemon;
mod door;
mod error;
mod greeting;
mod message;
mod reach;
mod relay;
mod scram;
mod serve;
mod sleep;
mod watch;

pub use daemon::{Launch, Status, ensure, status, stop};
pub use error::ProxyError;
pub use serve::serve;
