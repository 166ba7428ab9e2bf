//! What a stream leaves on its source, from the moment it is made: so that it is taken away
//! again if no stream comes of it, whoever is killed meanwhile.
//!
//! Making it, and taking away what nobody uses, are done under an advisory lock of the slot's
//! name; whoever holds the slot's snapshot shares that lock.

use super::publication::drop_publications;
use super::slot::{SlotState, drop_slot};
use crate::pg::{Error, Lsn, Session};
use sha2::{Digest, Sha256};

/// First half of the lock's key: "bklt" in ASCII.
const LOCK_CLASS: i32 = 0x626b_6c74;

/// A slot as it was made, and the publications that are backlot's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footprint {
    pub slot_name: String,
    pub consistent_point: Lsn,
    /// None of those that an owner made.
    pub own_publications: Vec<String>,
}

impl Footprint {
    /// One line, for the keeper's standard input. Names of slots and own publications hold no
    /// blanks.
    pub(super) fn to_line(&self) -> String {
        let mut words = vec![self.slot_name.clone(), self.consistent_point.to_string()];
        words.extend(self.own_publications.iter().cloned());
        words.join(" ")
    }

    pub(super) fn from_line(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace().map(str::to_owned);
        Some(Self {
            slot_name: words.next()?,
            consistent_point: words.next()?.parse().ok()?,
            own_publications: words.collect(),
        })
    }

    /// Drops slot and publications if the slot is still the one that was made and nothing was
    /// ever read from it. False if it is not, or if somebody else holds its snapshot: then
    /// nothing is touched.
    pub async fn remove_unused(&self, session: &Session) -> Result<bool, Error> {
        if !try_lock_alone(session, &self.slot_name).await? {
            return Ok(false);
        }
        let removed = self.remove_if_untouched(session).await;
        unlock(session, &self.slot_name).await?;
        removed
    }

    async fn remove_if_untouched(&self, session: &Session) -> Result<bool, Error> {
        let Some(state) = SlotState::read(session, &self.slot_name).await? else {
            return Ok(false);
        };
        let is_untouched = state.confirmed_flush_lsn == Some(self.consistent_point)
            || (state.loss().is_some() && state.confirmed_flush_lsn.is_none());
        if !is_untouched || state.holder.is_some() {
            return Ok(false);
        }
        // Dropped, gone or taken meanwhile: whoever took it needs the publications.
        if !matches!(drop_slot(session, &self.slot_name).await, Ok(true)) {
            return Ok(false);
        }
        drop_publications(session, &self.own_publications).await?;
        Ok(true)
    }
}

/// Takes the slot's lock for the session; waits for at most the session's `lock_timeout`.
pub async fn lock_alone(session: &Session, slot_name: &str) -> Result<(), Error> {
    let sql = "select pg_catalog.pg_advisory_lock($1, $2)";
    session.query(sql, &[&LOCK_CLASS, &lock_key(slot_name)]).await?;
    Ok(())
}

async fn try_lock_alone(session: &Session, slot_name: &str) -> Result<bool, Error> {
    match lock_alone(session, slot_name).await {
        Ok(()) => Ok(true),
        Err(error) if error.sqlstate() == Some("55P03") => Ok(false),
        Err(error) => Err(error),
    }
}

pub(super) async fn lock_shared(session: &Session, slot_name: &str) -> Result<(), Error> {
    let sql = "select pg_catalog.pg_advisory_lock_shared($1, $2)";
    session.query(sql, &[&LOCK_CLASS, &lock_key(slot_name)]).await?;
    Ok(())
}

pub async fn unlock(session: &Session, slot_name: &str) -> Result<(), Error> {
    let sql = "select pg_catalog.pg_advisory_unlock($1, $2)";
    session.query(sql, &[&LOCK_CLASS, &lock_key(slot_name)]).await?;
    Ok(())
}

/// Ends the keepers of a slot's snapshot.
pub async fn end_keepers(session: &Session, slot_name: &str) -> Result<(), Error> {
    let sql = "select pg_catalog.pg_terminate_backend(l.pid, 5000) from pg_catalog.pg_locks l \
               join pg_catalog.pg_stat_activity a on a.pid = l.pid \
               where l.locktype = 'advisory' and l.classid::int8 = $1 and l.objid::int8 = $2 and l.objsubid = 2 \
                 and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database()) \
                 and a.application_name = $3 and a.usename = current_user";
    let class = i64::from(LOCK_CLASS);
    let key = i64::from(lock_key(slot_name).cast_unsigned());
    session.query(sql, &[&class, &key, &super::keeper::KEEPER_NAME]).await?;
    Ok(())
}

/// Second half of the lock's key.
fn lock_key(slot_name: &str) -> i32 {
    let digest = Sha256::digest(slot_name);
    let bytes = digest.first_chunk::<4>().copied().unwrap_or_default();
    i32::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::Footprint;
    use crate::pg::Lsn;

    #[test]
    fn a_footprint_goes_through_the_keepers_standard_input() {
        for own_publications in
            [vec![], vec!["backlot_a".to_owned(), "backlot_a_insert".to_owned()]]
        {
            let footprint = Footprint {
                slot_name: "backlot_a".into(),
                consistent_point: Lsn(0x16_b374_d848),
                own_publications,
            };
            assert_eq!(Footprint::from_line(&footprint.to_line()), Some(footprint));
        }
        assert_eq!(Footprint::from_line(""), None);
    }
}
