//! What the program says about itself: log setup.
//!
//! Guarantees that drivers never log above `info`, whatever filter the user asks for:
//! tokio-postgres logs statements *with their parameters* at debug, and parameters are rows.
//! It writes to stderr only; stdout is data.

mod logs;

pub use logs::{LogError, LogFormat, init_logs, subscriber};
