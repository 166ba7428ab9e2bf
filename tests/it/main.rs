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

mod branch;
mod crash;
mod demo;
mod determinism;
mod fidelity;
mod fuzz;
mod instance;
mod integrity;
mod layering;
mod leak;
mod left_behind;
mod lost_answer;
mod observe;
mod origin;
mod plan;
mod proxy;
mod readme;
mod refusals;
mod replace;
mod roll_corpus;
mod roll_crash;
mod roll_execute;
mod roll_faithful;
mod roll_files;
mod roll_load;
mod roll_verbs;
mod sequences;
mod skills;
mod stream;
mod stream_apply;
mod subset;
mod verify;
mod wire;
