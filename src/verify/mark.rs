//! Two snapshots that belong together.
//!
//! A stream gives them by a *mark*: everything that committed on the source below one position
//! is in both, and nothing else. Without a stream they are of now, on either side.

use super::error::{Side, VerifyError};
use crate::pg::{ConnInfo, Error, Session};
use crate::source::{Keeper, Snapshot};
use secrecy::SecretString;
use std::time::{Duration, Instant};

/// The stream's own limit is 60 s; it may be busy with a large transaction first.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(50);

const ASK: &str = "insert into backlot.request (kind) values ('mark') returning request_id";
const ANSWER: &str = "select state, answer ->> 'source_snapshot' as source_snapshot, \
     answer ->> 'target_snapshot' as target_snapshot, answer ->> 'lsn' as lsn, \
     coalesce(answer ->> 'reason', answer ->> 'error') as reason \
     from backlot.request where request_id = $1";
const DONE: &str = "update backlot.request set state = 'done' where request_id = $1";

pub(super) struct Pinned {
    pub(super) source: Snapshot,
    pub(super) target: Snapshot,
    /// The position, if a stream has marked one.
    pub(super) lsn: Option<String>,
}

/// A server, parsed and as given.
pub(super) type Server<'s> = (&'s ConnInfo, &'s SecretString);

impl Pinned {
    /// Both of now.
    pub(super) async fn now(source: Server<'_>, target: Server<'_>) -> Result<Self, VerifyError> {
        Ok(Self {
            source: open(Side::Source, source, None).await?,
            target: open(Side::Target, target, None).await?,
            lsn: None,
        })
    }

    /// At a position that the stream of the target marks.
    pub(super) async fn marked(
        source: Server<'_>,
        target: Server<'_>,
        session: &Session,
    ) -> Result<Self, VerifyError> {
        let request: i64 = session.query_one(ASK, &[]).await.map_err(failed)?.get(0);
        let pinned = answered(source, target, session, request).await;
        // Also where it failed: the stream lets go of what it holds.
        let done = session.execute(DONE, &[&request]).await.map_err(failed);
        let pinned = pinned?;
        done?;
        Ok(pinned)
    }

    pub(super) async fn release(self) {
        // Snapshots end with their sessions in any case.
        drop(self.source.release().await);
        drop(self.target.release().await);
    }
}

async fn answered(
    source: Server<'_>,
    target: Server<'_>,
    session: &Session,
    request: i64,
) -> Result<Pinned, VerifyError> {
    let deadline = Instant::now() + ANSWER_TIMEOUT;
    loop {
        let row = session.query_one(ANSWER, &[&request]).await.map_err(failed)?;
        match row.get::<_, &str>("state") {
            "asked" | "taken" => {}
            "answered" => {
                let name = |column: &str| row.get::<_, Option<String>>(column);
                return Ok(Pinned {
                    source: open(Side::Source, source, name("source_snapshot")).await?,
                    target: open(Side::Target, target, name("target_snapshot")).await?,
                    lsn: name("lsn"),
                });
            }
            _ => {
                // failed, or done by somebody else
                let reason = row.get::<_, Option<String>>("reason").unwrap_or_default();
                return Err(VerifyError::MarkFailed { reason });
            }
        }
        if Instant::now() > deadline {
            return Err(VerifyError::MarkTimeout { seconds: ANSWER_TIMEOUT.as_secs() });
        }
        tokio::time::sleep(POLL).await;
    }
}

fn failed(error: tokio_postgres::Error) -> VerifyError {
    VerifyError::query("ask the stream for a mark")(Error::from(error))
}

async fn open(
    side: Side,
    (info, url): Server<'_>,
    adopt: Option<String>,
) -> Result<Snapshot, VerifyError> {
    Snapshot::open(info, url, &Keeper::Session, adopt.as_deref(), None)
        .await
        .map_err(|source| VerifyError::Snapshot { side, source })
}
