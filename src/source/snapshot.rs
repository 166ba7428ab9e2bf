//! One exported snapshot for everything that a clone reads.

use super::footprint::{self, Footprint};
use super::keeper::{KEEPER_NAME, export};
use crate::pg::{ConnInfo, Error, Literal, Session};
use secrecy::{ExposeSecret, SecretString};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

/// How the snapshot is kept alive beside our own session.
#[derive(Clone, Debug)]
pub enum Keeper {
    /// A second session of this process: the snapshot dies with it.
    Session,
    /// A process that outlives this one by `hold_s` seconds: `program snapshot-keeper`.
    Process { program: PathBuf, hold_s: u64 },
}

#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("take a snapshot of the source")]
    Source(#[source] Error),
    #[error("the snapshot of the interrupted run is gone")]
    Lost,
    #[error("start the snapshot keeper: {0}")]
    Keeper(String),
}

/// A snapshot that two sessions hold. `session` reads in it.
pub struct Snapshot {
    session: Session,
    name: String,
    xids: String,
    holder: Holder,
}

enum Holder {
    Session { _session: Session },
    Process { child: Child, stdin: ChildStdin },
}

/// Longest wait for the keeper to take or adopt the snapshot.
const KEEPER_TIMEOUT: Duration = Duration::from_mins(1);

impl Snapshot {
    /// Takes a new snapshot, or adopts one that a keeper or a new slot's walsender still holds.
    /// With the snapshot of a slot goes the slot's `footprint`.
    pub async fn open(
        info: &ConnInfo,
        source_url: &SecretString,
        keeper: &Keeper,
        adopt: Option<&str>,
        footprint: Option<&Footprint>,
    ) -> Result<Self, SnapshotError> {
        let (holder, name, xids) = match keeper {
            Keeper::Session => {
                let session =
                    Session::connect(info, KEEPER_NAME).await.map_err(SnapshotError::Source)?;
                let (name, xids) =
                    export(&session, adopt).await.map_err(|error| lost_or(error, adopt))?;
                if let Some(footprint) = footprint {
                    let locked = footprint::lock_shared(&session, &footprint.slot_name).await;
                    locked.map_err(SnapshotError::Source)?;
                }
                (Holder::Session { _session: session }, name, xids)
            }
            Keeper::Process { program, hold_s } => {
                start_keeper(program, (info, source_url), adopt, *hold_s, footprint).await?
            }
        };
        let session = Session::connect(info, "backlot").await.map_err(SnapshotError::Source)?;
        let import = format!(
            "begin isolation level repeatable read, read only; set transaction snapshot {}",
            Literal(&name)
        );
        session.execute_all(&import).await.map_err(SnapshotError::Source)?;
        Ok(Self { session, name, xids, holder })
    }

    /// The session that reads in the snapshot.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// For `SET TRANSACTION SNAPSHOT` and `pg_dump --snapshot`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `pg_current_snapshot()`: equal for two snapshots exactly if nothing was written between.
    pub fn xids(&self) -> &str {
        &self.xids
    }

    /// Tells the keeper that a journal names the snapshot: from now on it is worth holding when
    /// this process ends.
    pub async fn hold(&mut self) -> Result<(), SnapshotError> {
        let Holder::Process { stdin, .. } = &mut self.holder else { return Ok(()) };
        stdin
            .write_all(b"hold\n")
            .await
            .map_err(|error| SnapshotError::Keeper(format!("it went away: {error}")))
    }

    /// Lets go of the snapshot.
    pub async fn release(self) -> Result<(), Error> {
        let committed = self.session.execute_all("commit").await;
        if let Holder::Process { mut child, mut stdin } = self.holder {
            // A keeper that is already gone is what we want.
            let _ = stdin.write_all(b"done\n").await;
            drop(stdin);
            let _ = tokio::time::timeout(Duration::from_secs(10), child.wait()).await;
        }
        committed
    }

    /// Ends the keeper that an interrupted run left with this snapshot. Keepers of other clones
    /// of the same source are not ours to end.
    pub async fn end_keeper(&self, snapshot_name: &str) -> Result<(), Error> {
        let Some(transaction) = exporter(snapshot_name) else { return Ok(()) };
        self.session.query(END_KEEPER, &[&transaction, &KEEPER_NAME]).await?;
        Ok(())
    }
}

/// Every transaction holds a lock on its own virtual transaction id.
const END_KEEPER: &str = "select pg_catalog.pg_terminate_backend(l.pid, 5000) from pg_catalog.pg_locks l \
     join pg_catalog.pg_stat_activity a on a.pid = l.pid \
     where l.locktype = 'virtualxid' and l.virtualxid = $1 and a.application_name = $2 \
       and a.usename = current_user and a.datname = pg_catalog.current_database()";

/// The virtual transaction that exported a snapshot: its name is made of that, in hexadecimal
/// (snapmgr.c `ExportSnapshot`).
fn exporter(snapshot_name: &str) -> Option<String> {
    let mut parts = snapshot_name.split('-').map(|part| u64::from_str_radix(part, 16).ok());
    let (backend, local) = (parts.next()??, parts.next()??);
    Some(format!("{backend}/{local}"))
}

/// 42704 (undefined object) is PostgreSQL 17+'s answer, 22023 the older ones', to a snapshot
/// that no longer exists (snapmgr.c `ImportSnapshot`).
fn lost_or(error: Error, adopt: Option<&str>) -> SnapshotError {
    match error.sqlstate() {
        Some("22023" | "42704") if adopt.is_some() => SnapshotError::Lost,
        _ => SnapshotError::Source(error),
    }
}

async fn start_keeper(
    program: &PathBuf,
    (info, source_url): (&ConnInfo, &SecretString),
    adopt: Option<&str>,
    hold_s: u64,
    footprint: Option<&Footprint>,
) -> Result<(Holder, String, String), SnapshotError> {
    let failed = |error: std::io::Error| SnapshotError::Keeper(error.to_string());
    let mut child = Command::new(program)
        .arg("snapshot-keeper")
        // A group of its own: Ctrl-C in the terminal is for us, not for it.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(SnapshotError::Keeper("it has no standard streams".into()));
    };
    let request = format!(
        "{}\n{}\n{hold_s}\n{}\n{}\n",
        source_url.expose_secret(),
        adopt.unwrap_or_default(),
        footprint.map(Footprint::to_line).unwrap_or_default(),
        // The keeper reads no environment and no password file.
        info.password.as_ref().map_or("", |password| password.expose_secret())
    );
    stdin.write_all(request.as_bytes()).await.map_err(failed)?;
    let mut lines = BufReader::new(stdout).lines();
    let answer = tokio::time::timeout(KEEPER_TIMEOUT, lines.next_line())
        .await
        .map_err(|_| {
            SnapshotError::Keeper(format!("no answer within {} s", KEEPER_TIMEOUT.as_secs()))
        })?
        .map_err(failed)?;
    match answer.as_deref().and_then(|line| line.split_once('\t')) {
        Some((name, xids)) => {
            Ok((Holder::Process { child, stdin }, name.to_owned(), xids.to_owned()))
        }
        None if adopt.is_some() => Err(SnapshotError::Lost),
        None => Err(SnapshotError::Keeper("it ended before it had a snapshot".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::exporter;

    #[test]
    fn a_snapshots_name_tells_the_transaction_that_exported_it() {
        assert_eq!(exporter("00000003-0000001B-1").as_deref(), Some("3/27"));
        assert_eq!(exporter("pg_temp"), None);
    }
}
