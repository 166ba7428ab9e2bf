//! The roll engine's executor, state and backfill, with plans made by hand.

mod backfill;
mod capture;
mod execute;
mod foreign;
mod rig;
mod state;
