#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::format_push_string,
    reason = "tests"
)]

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
