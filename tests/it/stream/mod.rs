//! The stream: a target that follows its source exactly once.

mod arrivals;
mod atomicity;
mod basic;
mod beside;
mod cron;
mod identity;
mod kill;
mod masked_keys;
mod memory;
mod metrics;
mod network;
mod oracle;
mod overtaken;
mod resync;
mod schema;
mod shapes;
mod start;
mod types;
mod workload;
