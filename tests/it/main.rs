#![expect(clippy::unwrap_used, reason = "tests")]

//! The one integration binary: real servers, one database per test, in parallel.

mod support;

mod crash;
mod demo;
mod instance;
mod integrity;
mod layering;
mod observe;
mod replace;
mod subset;
