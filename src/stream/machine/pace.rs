//! When a group is large or old enough to be handed over.
//!
//! Near the source's end a transaction goes soon. Far behind it, nobody sees a transaction late
//! who does not see it late anyway, and large groups cost less: changes of one row come to one,
//! and a page of the target is visited once.

use super::gather::Gathered;
use super::{Applier, GROUP_BYTES, GROUP_CHANGES};
use crate::pg::Lsn;
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
/// of the largest to the largest, and shrink to half of what is still to come, so that the applier
/// has something to do from the beginning, and little in the end.
const FAR_BYTES: u64 = 4 * 1024 * 1024;
const SHARES: usize = 16;
const FAR_AGE: Duration = Duration::from_millis(250);

pub(super) struct Pace {
    /// When a group was last closed because it was time.
    closed_at: Option<Duration>,
    /// End of the source's WAL, as far as is known.
    source_end: Lsn,
    /// Size of the next group far behind, in shares of the largest.
    shares: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { closed_at: None, source_end: Lsn::ZERO, shares: 1 }
    }
}

impl Pace {
    pub(super) fn set_source_end(&mut self, lsn: Lsn) {
        self.source_end = self.source_end.max(lsn);
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
                gathered.bytes() >= GROUP_BYTES / SHARES * self.shares
                    || gathered.change_count() >= GROUP_CHANGES / SHARES * self.shares
                    || passed.bytes_since(handed) >= ahead
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
            self.shares = (self.shares * 2).min(SHARES);
        }
        is_due
    }
}
