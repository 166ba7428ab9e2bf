//! What stands where only the writer of a migration knows the answer.

/// Not SQL, so that nothing runs it.
pub const PLACEHOLDER: &str = "TODO: write the SQL expression";

/// What pgroll's `convert` writes in the same place.
const PGROLL: &str = "TODO: Implement SQL data migration";

/// Whether the text of a field is still to be written.
pub(crate) fn is_placeholder(text: &str) -> bool {
    [PLACEHOLDER, PGROLL].contains(&text.trim())
}
