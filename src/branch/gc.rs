//! Branches whose time is over.

use super::{Branch, BranchError, BranchState, Home, Moment, delete};

/// A branch that would be deleted.
#[derive(Clone, Debug)]
pub struct Garbage {
    pub branch: Branch,
}

/// What became of what was found.
#[derive(Debug, Default)]
pub struct Collected {
    pub deleted: Vec<Branch>,
    /// Names of branches that are there still, and why.
    pub failed: Vec<(String, BranchError)>,
}

/// What has expired and is not protected. Changes nothing.
///
/// # Errors
/// [`BranchError::Catalog`].
pub fn find_garbage(home: &Home) -> Result<Vec<Garbage>, BranchError> {
    let rows = home.catalog().read()?;
    let expired = rows.branches.into_iter().filter(|branch| has_expired(branch, home.now));
    Ok(expired.map(|branch| Garbage { branch }).collect())
}

fn has_expired(branch: &Branch, now: Moment) -> bool {
    branch.state == BranchState::Ready
        && !branch.protected
        && branch.expires_at.is_some_and(|moment| moment <= now)
}

/// Deletes what was found, unless it was renewed, protected or deleted meanwhile. One that cannot be
/// deleted does not keep the others.
pub fn collect(home: &Home, found: &[Garbage]) -> Collected {
    let mut collected = Collected::default();
    for Garbage { branch } in found {
        match delete::delete_if(home, branch, |row| Ok(has_expired(row, home.now))) {
            Ok(true) => collected.deleted.push(branch.clone()),
            Ok(false) | Err(BranchError::None { .. }) => {}
            Err(error) => collected.failed.push((branch.name.clone(), error)),
        }
    }
    collected
}
