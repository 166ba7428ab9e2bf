//! PostgreSQL itself: names, types, errors and connections. Knows nothing of backlot.

mod conn_info;
mod error;
mod format;
mod ident;
mod kind;
mod lsn;
mod oid;
pub mod pgoutput;
mod replication;
mod session;
mod setting;
mod tls;
mod waker;
mod wire;

pub(crate) use conn_info::percent_encoded;
pub use conn_info::{ChannelBinding, ConnInfo, SslMode};
pub use error::{Error, Retry, ServerError};
pub use format::Format;
pub use ident::{Ident, Literal};
pub use kind::Kind;
pub use lsn::{Lsn, NotAnLsn};
pub use oid::Oid;
pub use replication::{
    CreatedSlot, Origin, Replication, SlotKind, StartOptions, Status, SystemIdentity, WalMessage,
    WalMessages, WalStream,
};
pub use session::Session;
pub(crate) use setting::set_clause;
pub use waker::Waker;
pub use wire::{Buffer, Chunk, Interrupt, Parameters, Reply, Wire, whole_frames};
