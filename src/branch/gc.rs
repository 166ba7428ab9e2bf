//! Branches whose time is over.

use super::{Branch, BranchError, BranchState, Home, delete};

/// A branch that would be deleted.
#[derive(Clone, Debug)]
pub struct Garbage {
    pub branch: Branch,
}

/// What has expired and is not protected. Changes nothing.
///
/// # Errors
/// [`BranchError::Catalog`].
pub fn find_garbage(home: &Home) -> Result<Vec<Garbage>, BranchError> {
    let rows = home.catalog().read()?;
    let has_expired = |branch: &Branch| {
        branch.state == BranchState::Ready
            && !branch.protected
            && branch.expires_at.is_some_and(|moment| moment <= home.now)
    };
    let expired = rows.branches.into_iter().filter(has_expired);
    Ok(expired.map(|branch| Garbage { branch }).collect())
}

/// Deletes what was found, unless it was renewed or protected meanwhile.
///
/// # Errors
/// As [`delete`].
pub fn collect(home: &Home, found: &[Garbage]) -> Result<Vec<Branch>, BranchError> {
    let still = find_garbage(home)?;
    let is_still = |garbage: &&Garbage| still.iter().any(|now| now.branch.id == garbage.branch.id);
    found.iter().filter(is_still).map(|garbage| delete(home, &garbage.branch.id)).collect()
}
