//! What the program says about itself: log setup and metrics.
//!
//! Guarantees that drivers never log above `info`, whatever filter the user asks for:
//! tokio-postgres logs statements *with their parameters* at debug, and parameters are rows.
//! Logs go to stderr only; stdout is data. Metrics are numbers without labels.

mod exporter;
mod logs;
pub mod metrics;

pub use exporter::Exporter;
pub use logs::{LogError, LogFormat, init_logs, subscriber};
