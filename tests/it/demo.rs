//! The demo sample.
