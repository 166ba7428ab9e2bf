//! What a branch must not do though its parent did: replicate, archive, run jobs.
//!
//! Files first (`tree`: slots, signals), then the command line of its server (`server`: archiving,
//! subscriptions' workers, `pg_cron`), then, on the first start, with nobody else let in, the
//! subscriptions and jobs themselves, so that they stay quiet when a user lifts the settings.

use super::{Branch, BranchError, server};
use crate::instance::Server;
use crate::pg::Ident;

/// What was found and made quiet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Quieted {
    pub(super) subscriptions: u64,
    pub(super) jobs: u64,
}

const DATABASES: &str = "select datname from pg_catalog.pg_database where datallowconn";
const SUBSCRIPTIONS: &str = "select s.subname from pg_catalog.pg_subscription s \
    join pg_catalog.pg_database d on d.oid = s.subdbid \
    where d.datname = pg_catalog.current_database()";
const HAS_JOBS: &str = "select pg_catalog.to_regclass('cron.job') is not null";
const STOP_JOBS: &str = "with stopped as \
    (update cron.job set active = false where active returning 1) \
    select pg_catalog.count(*) from stopped";

pub(super) fn quiet(server: &Server, branch: &Branch) -> Result<Quieted, BranchError> {
    let failed = BranchError::sql("quieten what its parent ran", &branch.name);
    let mut session = server::any_session(server, branch)?;
    let databases = session.column(DATABASES).map_err(&failed)?;
    drop(session);
    let mut quieted = Quieted::default();
    for database in databases {
        let mut session = server::session(server, branch, &database)?;
        // A cluster can be read-only by default.
        session.simple("set default_transaction_read_only = off").map_err(&failed)?;
        for name in session.column(SUBSCRIPTIONS).map_err(&failed)? {
            let name = Ident(&name);
            // Without its slot: dropping the subscription here must not drop the parent's slot.
            session
                .simple(&format!("alter subscription {name} disable"))
                .and_then(|_| {
                    session.simple(&format!("alter subscription {name} set (slot_name = none)"))
                })
                .map_err(&failed)?;
            quieted.subscriptions += 1;
        }
        if session.column(HAS_JOBS).map_err(&failed)? == ["t"] {
            let count = session.column(STOP_JOBS).map_err(&failed)?;
            quieted.jobs += count.first().and_then(|count| count.parse().ok()).unwrap_or(0_u64);
        }
    }
    Ok(quieted)
}
