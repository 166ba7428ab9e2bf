#![expect(clippy::unwrap_used, reason = "tests")]

//! The one integration binary: real servers, one database per test, in parallel.

mod support;

mod crash;
mod demo;
mod determinism;
mod fidelity;
mod instance;
mod integrity;
mod layering;
mod leak;
mod observe;
mod readme;
mod refusals;
mod replace;
mod subset;
