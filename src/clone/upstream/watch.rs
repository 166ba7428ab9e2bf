//! A slot that is lost during a long copy makes the copy worthless: it is noticed at once.

use super::super::error::CloneError;
use super::super::progress::Progress;
use super::FollowError;
use crate::pg::{ConnInfo, Session};
use crate::source::SlotState;
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Ends when the slot is lost. A source that does not answer is no reason: what copies from it
/// notices that by itself.
pub(in super::super) async fn until_lost(
    info: &ConnInfo,
    slot_name: &str,
    progress: &Progress,
) -> CloneError {
    let mut session = None;
    let mut is_warned = false;
    loop {
        if session.is_none() {
            session = Session::connect(info, "backlot slot watch").await.ok();
        }
        if let Some(open) = &session {
            match SlotState::read(open, slot_name).await {
                Err(_) => session = None,
                Ok(state) => {
                    let name = slot_name.to_owned();
                    let Some(state) = state else {
                        let reason = "it was dropped by somebody else".to_owned();
                        return FollowError::SlotLost { name, reason }.into();
                    };
                    if let Some(reason) = state.loss() {
                        return FollowError::SlotLost { name, reason }.into();
                    }
                    if state.wal_status.as_deref() == Some("unreserved") && !is_warned {
                        is_warned = true;
                        progress.note(format!(
                            "the source is about to give up the replication slot {name}: \
                             its max_slot_wal_keep_size is used up"
                        ));
                    }
                }
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
