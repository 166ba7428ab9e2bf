//! Changes to the schema of a database, and the only sender of DDL to user tables.
//!
//! [`Executor`] runs statements so that nobody waits long behind them: short lock timeouts, bounded
//! retries, indexes built concurrently and never left invalid. It decides nothing: what is run was
//! planned elsewhere, and what has run is noted where the caller says. [`changes`] says what makes
//! one shape of a table another.

mod error;
mod execute;
mod index;
mod patience;
mod shape;

pub use error::ExecuteError;
pub use execute::{Executor, ExecutorOptions, Outcome, Work};
pub use patience::Patience;
pub use shape::{SchemaChange, changes};
