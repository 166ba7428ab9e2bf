//! Names of branches: those that people give to branches of their code.

use super::BranchError;

const LIMIT: usize = 63;

/// # Errors
/// [`BranchError::BadName`] with what is wrong.
pub fn is_branch_name(name: &str) -> Result<(), BranchError> {
    let bad = |reason| Err(BranchError::BadName { name: name.to_owned(), reason });
    if name.is_empty() || name.len() > LIMIT {
        return bad("1 to 63 characters");
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    if !name.chars().all(plain) {
        return bad("letters, digits, `-`, `_`, `.` and `/` only");
    }
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return bad("it begins with a letter or a digit");
    }
    Ok(())
}
