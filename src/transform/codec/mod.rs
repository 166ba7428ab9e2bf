//! Codecs: from a field of a COPY row to its canonical [`Value`](super::Value) and back, in the
//! binary and the text format. Only columns with a rule come here.
//!
//! Source of the binary forms: the `*_send` and `*_recv` functions of each type
//! (`src/backend/utils/adt`), of the text forms the `*_out` functions under the pinned settings
//! of `pg::session`.

pub(super) mod array;
pub(super) mod binary;
mod datetime;
mod numeric;
pub(super) mod text;

#[cfg(test)]
mod tests;
