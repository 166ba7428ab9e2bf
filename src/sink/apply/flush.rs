//! Which source positions the target holds durably.

use crate::pg::Lsn;
use std::collections::VecDeque;

/// Commits that are remembered one by one; more are joined, which only delays what is said.
const PENDING_LIMIT: usize = 4096;

/// Maps what was committed on the target to when it is flushed there: with
/// `synchronous_commit = off` a commit that was answered may still be lost.
#[derive(Debug, Default)]
pub(super) struct FlushMap {
    /// Source position and the target's insert position after its commit; both ascend.
    pending: VecDeque<(Lsn, Lsn)>,
    flushed: Option<Lsn>,
}

impl FlushMap {
    /// `target` is the target's insert position at any time after the commit.
    pub(super) fn committed(&mut self, source: Lsn, target: Lsn) {
        if self.pending.len() >= PENDING_LIMIT {
            self.pending.pop_back();
        }
        self.pending.push_back((source, target));
    }

    /// The target has flushed its log up to `target`.
    pub(super) fn target_flushed(&mut self, target: Lsn) {
        while let Some((source, _)) = self.pending.front().filter(|(_, needed)| *needed <= target) {
            self.flushed = Some(*source);
            self.pending.pop_front();
        }
    }

    /// Everything committed on the source before this survives a crash of the target.
    pub(super) fn flushed(&self) -> Option<Lsn> {
        self.flushed
    }

    pub(super) fn is_settled(&self) -> bool {
        self.pending.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::{FlushMap, PENDING_LIMIT};
    use crate::pg::Lsn;

    #[test]
    fn a_position_is_flushed_only_once_the_target_has_flushed_its_commit() {
        let mut map = FlushMap::default();
        map.committed(Lsn(10), Lsn(1000));
        map.committed(Lsn(20), Lsn(2000));
        map.target_flushed(Lsn(999));
        assert_eq!(map.flushed(), None);
        map.target_flushed(Lsn(1999));
        assert_eq!(map.flushed(), Some(Lsn(10)));
        assert!(!map.is_settled());
        map.target_flushed(Lsn(2000));
        assert_eq!((map.flushed(), map.is_settled()), (Some(Lsn(20)), true));
    }

    #[test]
    fn more_commits_than_are_remembered_are_never_confirmed_too_early() {
        let mut map = FlushMap::default();
        let count = PENDING_LIMIT as u64 + 10;
        for at in 1..=count {
            map.committed(Lsn(at), Lsn(at * 100));
        }
        map.target_flushed(Lsn(count * 100 - 1));
        assert!(map.flushed().is_some_and(|flushed| flushed.0 < PENDING_LIMIT as u64));
        map.target_flushed(Lsn(count * 100));
        assert_eq!(map.flushed(), Some(Lsn(count)));
    }
}
