//! When a group is large or old enough to be handed over.
//!
//! Near the source's end a transaction goes soon. Far behind it, nobody sees a transaction late
//! who does not see it late anyway, and larger groups cost less: each is committed once, and where
//! rows change again and again, the changes of one row come to one. Where they do not, a group
//! that stays in a processor's cache costs less than one that does not.

use super::gather::Gathered;
use super::{Applier, GROUP_BYTES, GROUP_CHANGES};
use crate::pg::Lsn;
use crate::sink::apply::Group;
use std::time::Duration;

/// While the applier is busy, a group of this size or age waits in front of it.
const READY_BYTES: usize = 1024 * 1024;
const READY_AGE: Duration = Duration::from_millis(100);
/// Groups begin at least this far apart, or carry this much: handed over one by one as they come,
/// small transactions keep all threads waking each other up, and the walsender from working. A
/// transaction that comes after a pause goes at once.
const INTERVAL: Duration = Duration::from_millis(4);
const INTERVAL_BYTES: usize = 256 * 1024;
/// So much WAL of the source that was not seen is far behind. Groups then grow from a sixteenth
/// of the largest, and shrink to half of what is still to come, so that the applier has something
/// to do from the beginning, and little in the end: of what the changes come to.
const FAR_BYTES: u64 = 512 * 1024;
const SHARES: usize = 16;
/// They grow to this where rows seldom change twice in one, and else to the largest.
const FEW_SHARES: usize = 4;
/// After so many of these a larger one is tried: rows may change again after longer than they hold.
const TRY_AFTER: u32 = 32;
const FAR_AGE: Duration = Duration::from_millis(500);

pub(super) struct Pace {
    /// When a group was last closed because it was time.
    closed_at: Option<Duration>,
    /// End of the source's WAL, as far as is known.
    source_end: Lsn,
    /// Size of the next group far behind, in shares of the largest.
    shares: usize,
    /// Changes of the last group that says something, and what they came to.
    last: (u64, u64),
    /// Groups since one was larger than [`FEW_SHARES`].
    small_groups: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { closed_at: None, source_end: Lsn::ZERO, shares: 1, last: (1, 1), small_groups: 0 }
    }
}

impl Pace {
    pub(super) fn set_source_end(&mut self, lsn: Lsn) {
        self.source_end = self.source_end.max(lsn);
    }

    /// The group's changes came to so many.
    pub(super) fn learn(&mut self, group: &Group, net_changes: usize) {
        let changes = group.changes.len();
        let holds = |shares| holds_shares(shares, group.rows.byte_count(), changes);
        self.small_groups =
            if holds(FEW_SHARES + 1) { 0 } else { self.small_groups.saturating_add(1) };
        // A small one says little.
        if holds(1) {
            self.last = (changes as u64, net_changes as u64);
        }
    }

    /// True if no other transaction is to be gathered.
    pub(super) fn is_full(&self, gathered: &Gathered) -> bool {
        holds_shares(self.most_shares(), gathered.bytes(), gathered.change_count())
    }

    /// True if of its changes one in ten or more was of a row that changed again in it.
    fn folds(&self) -> bool {
        let (changes, net_changes) = self.last;
        net_changes <= changes - changes.div_ceil(10)
    }

    /// What so many bytes or changes come to, if they fold as the last group did.
    fn net(&self, of: u64) -> u64 {
        let (changes, net_changes) = self.last;
        let net = u128::from(of) * u128::from(net_changes) / u128::from(changes.max(1));
        u64::try_from(net).unwrap_or(of)
    }

    fn holds_net_shares(&self, gathered: &Gathered) -> bool {
        let net = |of: usize| usize::try_from(self.net(of as u64)).unwrap_or(of);
        holds_shares(self.shares, net(gathered.bytes()), net(gathered.change_count()))
    }

    fn most_shares(&self) -> usize {
        if self.folds() || self.small_groups >= TRY_AFTER { SHARES } else { FEW_SHARES }
    }

    /// True if what is gathered, which is not empty, is to go; it counts as gone then. Everything
    /// that committed before `passed` was seen, before `handed` handed over.
    pub(super) fn is_due(
        &mut self,
        gathered: &Gathered,
        (handed, passed): (Lsn, Lsn),
        now: Duration,
        applier: Applier,
    ) -> bool {
        let ahead = self.source_end.bytes_since(passed);
        let is_far = ahead >= FAR_BYTES;
        if !is_far {
            self.shares = 1;
        }
        let is_due = match applier {
            Applier::Full => false,
            // It grows until the applier has nothing to do, or it is full.
            Applier::Busy if is_far => false,
            Applier::Idle if is_far => {
                self.holds_net_shares(gathered)
                    || self.net(passed.bytes_since(handed)) >= ahead
                    || now >= gathered.since + FAR_AGE
            }
            Applier::Idle => {
                gathered.bytes() >= INTERVAL_BYTES
                    || self.closed_at.is_none_or(|closed_at| now >= closed_at + INTERVAL)
            }
            Applier::Busy => gathered.bytes() >= READY_BYTES || now >= gathered.since + READY_AGE,
        };
        if is_due {
            self.closed_at = Some(now);
            self.shares = (self.shares * 2).min(self.most_shares());
        }
        is_due
    }
}

fn holds_shares(shares: usize, bytes: usize, changes: usize) -> bool {
    bytes >= GROUP_BYTES / SHARES * shares || changes >= GROUP_CHANGES / SHARES * shares
}

#[cfg(test)]
mod tests {
    use super::{FEW_SHARES, GROUP_CHANGES, Pace, SHARES, TRY_AFTER};
    use crate::sink::apply::{Change, Group, Operation};

    fn group(shares: usize) -> Group {
        let operation = Operation::Truncate { statement: 0, restart_identity: false };
        let change = Change { table: 0, operation };
        Group { changes: vec![change; GROUP_CHANGES / SHARES * shares], ..Group::default() }
    }

    #[test]
    fn groups_grow_only_where_rows_change_again() {
        let mut pace = Pace::default();
        let few = group(FEW_SHARES);
        pace.learn(&few, few.changes.len());
        assert_eq!(pace.most_shares(), FEW_SHARES);
        pace.learn(&few, few.changes.len() / 2);
        assert_eq!(pace.most_shares(), SHARES);
        // One change says nothing of what many come to.
        pace.learn(&Group { changes: vec![few.changes[0]], ..Group::default() }, 1);
        assert_eq!(pace.most_shares(), SHARES);
        pace.learn(&few, few.changes.len());
        assert_eq!(pace.most_shares(), FEW_SHARES);
    }

    #[test]
    fn a_group_counts_for_what_its_changes_come_to() {
        let mut pace = Pace::default();
        assert_eq!(pace.net(1000), 1000);
        let few = group(FEW_SHARES);
        pace.learn(&few, few.changes.len() / 10);
        assert_eq!(pace.net(1000), 100);
        // One change says nothing of what many come to.
        pace.learn(&Group { changes: vec![few.changes[0]], ..Group::default() }, 1);
        assert_eq!(pace.net(1000), 100);
        pace.learn(&few, few.changes.len());
        assert_eq!(pace.net(u64::MAX), u64::MAX);
    }

    #[test]
    fn a_larger_group_is_tried_now_and_then() {
        let mut pace = Pace::default();
        let (few, large) = (group(FEW_SHARES), group(SHARES));
        for tried in 0..TRY_AFTER {
            assert_eq!(pace.most_shares(), FEW_SHARES, "after {tried}");
            pace.learn(&few, few.changes.len());
        }
        assert_eq!(pace.most_shares(), SHARES);
        pace.learn(&large, large.changes.len());
        assert_eq!(pace.most_shares(), FEW_SHARES);
    }
}
