//! How long and how often: the bounds of everything that waits.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Bounds of an [`super::Executor`].
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Longest wait for a lock, and longest time that others queue behind us. Zero: without limit.
    pub lock_timeout: Duration,
    /// Tries of one step.
    pub attempts: u32,
    /// After the first failed try; each further pause is twice as long, give or take a half.
    pub first_pause: Duration,
    pub longest_pause: Duration,
    /// For one concurrent index build, which waits for every transaction older than itself.
    pub build_limit: Duration,
}

impl Default for Patience {
    /// About four minutes of trying, in which somebody else's transaction ends.
    fn default() -> Self {
        Self {
            lock_timeout: Duration::from_millis(500),
            attempts: 80,
            first_pause: Duration::from_millis(50),
            longest_pause: Duration::from_secs(3),
            build_limit: Duration::from_hours(24),
        }
    }
}

impl Patience {
    /// Before try `attempt` + 1, from 1 on. With jitter, so that two who locked each other out do not
    /// meet again.
    pub(super) fn pause(&self, attempt: u32) -> Duration {
        let doubled = self.first_pause.saturating_mul(1u32 << attempt.saturating_sub(1).min(16));
        let full = doubled.min(self.longest_pause);
        // A random percentage between 50 and 150.
        let percent = 50 + u32::try_from(RandomState::new().hash_one(attempt) % 101).unwrap_or(50);
        full * percent / 100
    }

    /// The lock timeout of a statement of a transaction whose statements began `begun` ago: all its
    /// waits together are to stay below the limit, for that is how long others wait behind it.
    pub(super) fn left_ms(&self, begun: Duration) -> u128 {
        /// Below this a timeout would strike a lock that is free.
        const LEAST_MS: u128 = 10;
        if self.lock_timeout.is_zero() {
            return 0;
        }
        self.lock_timeout.saturating_sub(begun).as_millis().max(LEAST_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::Patience;
    use std::time::Duration;

    #[test]
    fn pauses_grow_to_their_limit_and_no_further() {
        let patience = Patience::default();
        for attempt in 1..200 {
            let pause = patience.pause(attempt);
            assert!(pause <= patience.longest_pause * 3 / 2, "{attempt}: {pause:?}");
            assert!(pause >= patience.first_pause / 2, "{attempt}: {pause:?}");
        }
    }

    #[test]
    fn waits_of_one_transaction_share_one_limit() {
        let patience = Patience::default();
        assert_eq!(patience.left_ms(Duration::ZERO), 500);
        assert_eq!(patience.left_ms(Duration::from_millis(400)), 100);
        assert_eq!(patience.left_ms(Duration::from_secs(9)), 10);
        let endless = Patience { lock_timeout: Duration::ZERO, ..patience };
        assert_eq!(endless.left_ms(Duration::from_secs(9)), 0);
    }
}
