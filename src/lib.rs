//! backlot: databases that look and behave like production and hold nobody's personal data.
//!
//! The modules form layers; imports go up only. `tests/it/layering.rs` is the definition of the
//! graph. The main path is `cli::clone` → [`clone`] → [`table_sync`] → [`source`] →
//! [`transform`] → [`sink`].

pub mod document;
pub mod observe;
pub mod pg;
pub mod random;

pub mod catalog;

pub mod ddl;
pub mod migrate;
pub mod pii;
pub mod transform;

pub mod instance;
pub mod sink;
pub mod source;
pub mod state;

pub mod branch;
pub mod clone;
pub mod detect;
pub mod project;
pub mod proxy;
pub mod roll;
pub mod stream;
pub mod table_sync;
pub mod verify;

pub mod cli;
