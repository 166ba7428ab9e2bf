//! Object identifiers. The constants are PostgreSQL's own (`pg_type.dat`): they never change.

use std::fmt;

/// An object identifier of `pg_class`, `pg_type` and their like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Oid(pub u32);

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
