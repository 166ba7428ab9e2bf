//! The keeper: a process of its own that holds a snapshot on the source, so that a clone that
//! is killed can go on in the same snapshot.
//!
//! An exported snapshot lives as long as the transaction that exported it. The keeper is that
//! transaction. It ends when it is told to, or some time after the process that started it is
//! gone: a held snapshot keeps the source from vacuuming, so the time is bounded. A snapshot that
//! no journal knows can be adopted by nobody: its keeper ends with the parent.
//!
//! The snapshot of a replication slot comes with the slot: a keeper that lets go of it without
//! having been told that a stream will follow drops the slot, which would keep the source's WAL
//! for nobody.

use super::footprint::{self, Footprint};
use crate::pg::{ConnInfo, Error, Literal, Session};
use secrecy::SecretString;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

/// What the parent writes to the keeper's standard input, one line each.
#[derive(Debug)]
pub struct KeeperRequest {
    pub source_url: String,
    /// Adopt this snapshot instead of taking a new one.
    pub adopt: Option<String>,
    /// How long to hold on after the parent is gone, in seconds, once it has said `hold`.
    pub hold_s: u64,
    /// Of the environment or the password file, where the URL has none.
    pub password: Option<SecretString>,
    /// The slot that the snapshot is of.
    pub footprint: Option<Footprint>,
}

/// `application_name` of the keeper's session.
pub(crate) const KEEPER_NAME: &str = "backlot snapshot keeper";
/// How often the keeper looks whether its session still lives.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Opens a read-only repeatable-read transaction in a new or an adopted snapshot and exports it.
/// Returns the snapshot's name and its `pg_current_snapshot()`.
pub(crate) async fn export(
    session: &Session,
    adopt: Option<&str>,
) -> Result<(String, String), Error> {
    session.execute_all("begin isolation level repeatable read, read only").await?;
    if let Some(name) = adopt {
        session.execute_all(&format!("set transaction snapshot {}", Literal(name))).await?;
    }
    let sql = "select pg_catalog.pg_export_snapshot(), pg_catalog.pg_current_snapshot()::text";
    let row = session.query_one(sql, &[]).await?;
    Ok((row.get(0), row.get(1)))
}

/// The keeper's whole life: reads a request from standard input, answers with
/// `name<TAB>xids`, holds until told `done` or until end of file; told `hold` before, until
/// `hold_s` after it.
pub async fn keep() -> Result<(), Error> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let request = read_request(&mut lines).await?;
    let mut info = ConnInfo::parse(&request.source_url)?.for_raw_rows();
    info.password = info.password.or(request.password);
    let session = Session::connect(&info, KEEPER_NAME).await?;
    let (name, xids) = export(&session, request.adopt.as_deref()).await?;
    if let Some(footprint) = &request.footprint {
        footprint::lock_shared(&session, &footprint.slot_name).await?;
    }
    let answer = format!("{name}\t{xids}\n");
    let mut stdout = tokio::io::stdout();
    let told = async {
        stdout.write_all(answer.as_bytes()).await?;
        stdout.flush().await
    };
    told.await.map_err(|source| Error::io("answer the parent", source))?;
    tokio::select! {
        // Reading a line is cancel-safe enough here: whatever ends first ends the keeper.
        is_done = until_released(&mut lines, request.hold_s) => {
            if let Some(footprint) = request.footprint.filter(|_| !is_done) {
                // With the session goes the shared lock.
                drop(session);
                let session = Session::connect(&info, KEEPER_NAME).await?;
                footprint.remove_unused(&session).await?;
            }
        }
        // By whoever goes on with the snapshot, or with the server.
        () = until_lost(&session) => {}
    }
    Ok(())
}

type Lines = tokio::io::Lines<BufReader<tokio::io::Stdin>>;

async fn read_request(lines: &mut Lines) -> Result<KeeperRequest, Error> {
    let mut next = async || {
        let line =
            lines.next_line().await.map_err(|source| Error::io("read the request", source))?;
        line.ok_or(Error::Protocol("the keeper's request is cut short"))
    };
    let source_url = next().await?;
    let adopt = Some(next().await?).filter(|name| !name.is_empty());
    let hold_s =
        next().await?.parse().map_err(|_| Error::Protocol("the keeper's hold is no number"))?;
    let footprint = Footprint::from_line(&next().await?);
    let password = Some(next().await?).filter(|text| !text.is_empty()).map(SecretString::from);
    Ok(KeeperRequest { source_url, adopt, hold_s, password, footprint })
}

/// True if the parent has said that it is done.
async fn until_released(lines: &mut Lines, hold_s: u64) -> bool {
    let mut is_known = false;
    while let Ok(Some(line)) = lines.next_line().await {
        match line.as_str() {
            "done" => return true,
            "hold" => is_known = true,
            _ => {}
        }
    }
    if is_known {
        tokio::time::sleep(Duration::from_secs(hold_s)).await;
    }
    false
}

async fn until_lost(session: &Session) {
    let mut heartbeat = tokio::time::interval(HEARTBEAT);
    loop {
        heartbeat.tick().await;
        if session.query_one("select 1", &[]).await.is_err() {
            return;
        }
    }
}
