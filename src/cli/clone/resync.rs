//! `backlot clone resync`

use super::start::source_major;
use super::stream::{ServerArgs, supervised};
use crate::cli::failure::Failure;
use crate::cli::{Global, environment, output};
use crate::clone::Bring;
use crate::pg::{ConnInfo, Error, Session};
use crate::state::{Journal, StreamRecord, create_stream_state};
use crate::stream::StreamError;
use crate::transform::spec::parse_relation_name;
use clap::Args;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Args)]
pub(in crate::cli) struct ResyncArgs {
    /// The tables to copy again, or for the first time where they came after the clone (schema.table)
    #[arg(required = true, value_name = "TABLE")]
    tables: Vec<String>,
    #[command(flatten)]
    pub(super) servers: ServerArgs,
}

const POLL: Duration = Duration::from_millis(100);
/// A stream that was interrupted comes back sooner.
const ABSENCE: Duration = Duration::from_mins(1);
const ASK: &str = "insert into backlot.request (kind, arguments) values ('resync', $1::text::jsonb) returning request_id";
const STATE: &str =
    "select state, coalesce(answer ->> 'reason', '') from backlot.request where request_id = $1";

pub(super) async fn run(args: ResyncArgs, global: &Global) -> Result<(), Failure> {
    let info = args.servers.target()?;
    let target = Session::connect(&info, "backlot").await?;
    if StreamRecord::read(&target).await?.is_none() {
        return Err(StreamError::NotFollowed.into());
    }
    create_stream_state(&target).await?;
    let tables = args.tables.iter().map(|table| qualified(table)).collect::<Vec<_>>();
    // A running stream has the source's address; who brings a new table needs it, too.
    let brought = match args.servers.source() {
        Ok(source) => bring(&source, &info, &tables).await?,
        Err(_) => Vec::new(),
    };
    let arguments = json!({"tables": tables}).to_string();
    let row = target.query_one(ASK, &[&arguments]).await.map_err(Error::from)?;
    let request: i64 = row.get(0);
    if !Journal::is_locked(&target).await? {
        // Nobody will answer: a stream of our own does, and ends when it has caught up.
        let (mut options, key) = args.servers.read()?;
        options.until_caught_up = true;
        let ended = supervised(&options, &key, &Arc::default(), global).await;
        // Another one may have begun before ours, and answers.
        if ended.is_err() && !Journal::is_locked(&target).await? {
            return ended.map(drop);
        }
    }
    answered(&target, request).await?;
    print(&tables, &brought, global)
}

/// Makes tables that came after the clone, and has them followed; returns which.
async fn bring(
    source: &ConnInfo,
    target: &ConnInfo,
    tables: &[String],
) -> Result<Vec<String>, Failure> {
    let name = |table: &String| parse_relation_name(table);
    let names = tables.iter().filter_map(name).collect::<Vec<_>>();
    let Some(bring) = Bring::look(source, target, &names).await? else { return Ok(Vec::new()) };
    let tools = environment::tools(source_major(source).await?)?;
    let brought = bring.run(&tools).await?;
    Ok(brought.iter().map(ToString::to_string).collect())
}

fn print(tables: &[String], brought: &[String], global: &Global) -> Result<(), Failure> {
    if global.json {
        let summary = json!({"event": "summary", "tables": tables, "brought": brought});
        return output::json(&summary);
    }
    if !brought.is_empty() {
        output::line(&format!("brought, and followed from now on: {}", brought.join(", ")))?;
    }
    let again = tables.iter().filter(|table| !brought.contains(table)).map(String::as_str);
    let again = again.collect::<Vec<_>>();
    if !again.is_empty() {
        output::line(&format!("copied again: {}", again.join(", ")))?;
    }
    Ok(())
}

fn qualified(table: &str) -> String {
    if table.contains('.') { table.to_owned() } else { format!("public.{table}") }
}

async fn answered(target: &Session, request: i64) -> Result<(), Failure> {
    let mut heard_at = Instant::now();
    loop {
        if Journal::is_locked(target).await? {
            heard_at = Instant::now();
        } else if heard_at.elapsed() > ABSENCE {
            return Err(Failure::conflict("the stream ended before it had copied the table")
                .hint("the next stream copies it; what ended this one, its own output says"));
        }
        let row = target.query_one(STATE, &[&request]).await.map_err(Error::from)?;
        match row.get::<_, &str>(0) {
            "done" => return Ok(()),
            "failed" => {
                let reason: String = row.get(1);
                return Err(StreamError::Resync(reason).into());
            }
            _ => tokio::time::sleep(POLL).await,
        }
    }
}
