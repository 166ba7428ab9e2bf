//! PostgreSQL itself: names, types, errors and connections. Knows nothing of backlot.

mod conn_info;
mod error;
mod format;
mod ident;
mod kind;
mod oid;
mod session;
mod tls;
mod wire;

pub use conn_info::{ConnInfo, SslMode};
pub use error::{Error, Retry, ServerError};
pub use format::Format;
pub use ident::{Ident, Literal};
pub use kind::Kind;
pub use oid::Oid;
pub use session::Session;
pub use wire::{Buffer, Chunk, Interrupt, Wire};
