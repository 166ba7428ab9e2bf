//! PostgreSQL itself: names, types, errors, connections and codecs.

mod ident;
mod kind;
mod oid;

pub use ident::{Ident, Literal};
pub use kind::Kind;
pub use oid::Oid;
