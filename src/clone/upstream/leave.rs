//! What is taken away again from the source.

use super::super::error::{CloneError, Side};
use super::super::options::Options;
use super::super::progress::Progress;
use super::super::run::connect;
use super::FollowError;
use super::footprint;
use crate::pg::{Error, Ident, Literal, Session};
use crate::source::publication::drop_publications;
use crate::source::{SlotError, SlotState, drop_slot, end_creators, end_keepers};
use crate::state::{RunSlot, StreamRecord};
use std::time::{Duration, Instant};

/// A walsender that lost its client may take this long to notice.
const HOLDER_WAIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(100);

/// Takes away what an unfinished run left on the source, if no stream has begun to read it.
pub(in super::super) async fn remove(source: &Session, slot: &RunSlot) -> Result<(), CloneError> {
    let failed = || CloneError::query("drop the unfinished clone's replication slot");
    end_keepers(source, &slot.slot_name).await.map_err(failed())?;
    footprint(slot).remove_unused(source).await.map_err(failed())?;
    Ok(())
}

/// After a slot that was not made.
pub(super) async fn undo(
    source: &Session,
    slot_name: &str,
    publications: &[String],
) -> Result<(), CloneError> {
    if !slot_name.is_empty() {
        drop_slot(source, slot_name).await.map_err(FollowError::Slot)?;
    }
    let failed = CloneError::query("drop the publications again");
    drop_publications(source, publications).await.map_err(failed)
}

async fn end_holder(source: &Session, slot_name: &str) -> Result<(), CloneError> {
    let sql = "select pg_catalog.pg_terminate_backend(s.active_pid, 5000) \
               from pg_catalog.pg_replication_slots s where s.slot_name = $1 and s.active_pid is not null";
    let ended = source.query(sql, &[&slot_name]).await.map_err(Error::from);
    ended.map(drop).map_err(CloneError::query("end the walsender of the replication slot"))
}

/// Makes room for a slot of our own name: an attempt that was killed may have left one. A slot
/// that the user has named is not ours to drop.
pub(super) async fn clear_name(
    source: &Session,
    name: &str,
    is_given: bool,
    progress: &Progress,
) -> Result<(), CloneError> {
    let failed = CloneError::query("end the walsender of a start that was killed");
    end_creators(source, name).await.map_err(failed)?;
    let failed = CloneError::query("read the replication slot");
    let Some(state) = SlotState::read(source, name).await.map_err(failed)? else { return Ok(()) };
    let name = name.to_owned();
    if let Some(holder) = state.holder {
        return Err(FollowError::Slot(SlotError::Active { name, holder }).into());
    }
    if is_given {
        return Err(FollowError::Slot(SlotError::Exists { name }).into());
    }
    end_keepers(source, &name).await.map_err(CloneError::query("end the snapshot keepers"))?;
    if drop_slot(source, &name).await.map_err(FollowError::Slot)? {
        progress
            .note(format!("dropped the replication slot {name}, which an earlier attempt left"));
    }
    Ok(())
}

/// The stream of the target that is being replaced.
pub(in super::super) async fn old_stream(
    options: &Options,
) -> Result<Option<StreamRecord>, CloneError> {
    if !options.replace {
        return Ok(None);
    }
    let target = connect(&options.target, Side::Target).await?;
    let record = StreamRecord::read(&target).await;
    Ok(record.map_err(CloneError::query("read the target's stream"))?.map(|(record, _)| record))
}

/// Drops slot and publications of a target that has been replaced. What cannot be dropped is
/// said, with the statements that drop it: the new target is good all the same.
pub(in super::super) async fn forget_old_stream(
    options: &Options,
    old: &StreamRecord,
) -> Option<String> {
    let ours = connect(&options.source, Side::Source).await;
    let dropped = match &ours {
        Ok(source) => drop_old(source, old).await,
        Err(error) => Err(error.to_string()),
    };
    dropped.err().map(|reason| {
        format!("the replaced target's stream is left on its source ({reason}): {}", sql(old))
    })
}

async fn drop_old(source: &Session, old: &StreamRecord) -> Result<(), String> {
    let identity = super::super::preflight::identity(source).await.map_err(|e| e.to_string())?;
    if identity != format!("{}/{}", old.source_system_identifier, old.source_database) {
        return Err(format!("it came from {}", old.source));
    }
    let deadline = Instant::now() + HOLDER_WAIT;
    loop {
        // The stream lost its target in the swap.
        end_holder(source, &old.slot_name).await.map_err(|error| error.to_string())?;
        match drop_slot(source, &old.slot_name).await {
            Ok(_) => break,
            Err(SlotError::Active { .. }) if Instant::now() < deadline => {}
            Err(error) => return Err(error.to_string()),
        }
        tokio::time::sleep(POLL).await;
    }
    if old.owns_publications {
        let dropped = drop_publications(source, &old.publications).await;
        dropped.map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn sql(old: &StreamRecord) -> String {
    let mut sql = format!("select pg_drop_replication_slot({});", Literal(&old.slot_name));
    if old.owns_publications {
        for name in &old.publications {
            sql.extend([" drop publication if exists ", &Ident(name).to_string(), ";"]);
        }
    }
    sql
}
