#![expect(clippy::unwrap_used, reason = "tests")]

//! The one integration binary: real servers, one database per test, in parallel.

mod support;

mod demo;
mod determinism;
mod fidelity;
mod instance;
mod layering;
mod leak;
mod observe;
mod readme;
mod refusals;
