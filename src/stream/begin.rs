//! Before a session: is everything as the stream left it?

use super::arrivals::{LATER, Maker, State, UNLISTED, say_later, say_unlisted, to_copy};
use super::error::StreamError;
use super::fit::check_identity;
use super::note::{forget_statement, state_statement};
use super::options::{Options, Outcome};
use super::rules::Rules;
use super::run::NAME;
use super::slot::{self, Reading};
use super::status::{Status, TableState};
use crate::catalog::{RelationKind, RelationName};
use crate::pg::{ConnInfo, Error, Lsn, Oid, Session};
use crate::sink::apply::Applier;
use crate::source::WalReader;
use crate::source::publication::Listed;
use crate::state::{
    Journal, StreamRecord, create_stream_state, known_columns, known_statements, source_oids,
    source_statement,
};
use crate::table_sync::routed_target;
use crate::transform::key::RootKey;
use crate::transform::op;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_postgres::Row;

const STATES: &str = "select relation, state, reason, rules_hash from backlot.stream_table";
const COLUMNS: &str = "select n.nspname::text, c.relname::text, pg_catalog.array_agg(a.attname::text) \
     from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
     join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' \
     where c.relkind in ('r', 'p') and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'backlot') \
     group by 1, 2";
/// Its pid may be another's by now, but not of another stream's session on this target: the lock
/// was ours.
const END_HOLDER: &str = "select pg_catalog.pg_terminate_backend(a.pid, 5000) from pg_catalog.pg_stat_activity a \
     where a.pid = $1 and a.application_name = $2 and a.datname = pg_catalog.current_database()";
const QUARANTINED: &str = "select pg_catalog.count(*) from backlot.quarantine";
const ASKED: &str = "select exists (select from backlot.request where kind = 'resync' and state in ('asked', 'taken'))";
const SET_CONFIG: &str = "update backlot.stream set config = $1";
const SET_TIMELINE: &str = "update backlot.stream set timeline = $1";
/// The columns of each table's replica identity where that is an index.
const IDENTITIES: &str = include_str!("sql/identities.sql");
/// What has been inserted into the log must be flushed before the walsender reads it.
const POSITIONS: &str = "select case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn() \
     else pg_catalog.pg_current_wal_insert_lsn() end::text, \
     case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn() \
     else pg_catalog.pg_current_wal_flush_lsn() end::text";
/// At the start of a WAL page the insert position stands behind the page's header
/// (`SizeOfXLogLongPHD`), the flush position before it.
const PAGE_HEADER_BYTES: u64 = 40;
/// A backend lives on for a moment after its client has ended, for longer on a busy machine.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);
const REPLACED: &str = "another table has taken its place on the source";
/// `wal_writer_delay` is 200 ms.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// A session's connections and what it knows before it starts.
pub(super) struct Begun {
    pub(super) source: Arc<Session>,
    /// Holds the target's lock.
    pub(super) target: Session,
    pub(super) record: StreamRecord,
    pub(super) rules: Arc<Rules>,
    pub(super) states: BTreeMap<RelationName, TableState>,
    /// What the stream's publications listed when it began.
    pub(super) listed: Listed,
}

/// What the stream's threads work on.
pub(super) struct Connected {
    pub(super) reader: WalReader,
    /// Values come in binary.
    pub(super) is_binary: bool,
    pub(super) applier: Applier,
}

/// `holder`: the backend that held the target's lock for this process before, and is now told.
/// `as_text`: values are to come as text.
///
/// What does not depend on each other is done at the same time: servers may be far away, and a new
/// connection takes as long as all that is asked of it.
pub(super) async fn begin(
    options: &Options,
    key: &RootKey,
    status: &Status,
    (holder, as_text): (&mut Option<i32>, bool),
    shutdown: &watch::Receiver<bool>,
) -> Result<(Begun, Connected), StreamError> {
    let info = options.source.clone();
    let source = tokio::spawn(async move { Session::connect(&info, NAME).await });
    let target = Session::connect(&options.target, NAME)
        .await
        .map_err(StreamError::target("connect to the target"))?;
    lock(&target, holder, shutdown).await?;
    let failed = || StreamError::target("read the stream's state");
    let (record, checkpoint) =
        StreamRecord::read(&target).await.map_err(failed())?.ok_or(StreamError::NotFollowed)?;
    create_stream_state(&target).await.map_err(failed())?;
    same_masks(&record, key)?;
    let source = source.await.map_err(|_| StreamError::Panicked)?;
    let source = source.map_err(StreamError::source("connect to the source"))?;
    let config = options.config.clone().unwrap_or_else(|| record.config.clone());
    let known = known_columns(&target).await.map_err(failed())?;
    let (of_source, rules, of_target) = tokio::join!(
        OfSource::read(&source, options, (&record, checkpoint), as_text),
        Rules::load((&config, config != record.config), &options.source, known),
        OfTarget::read(&target, options, &record.slot_name),
    );
    let OfSource { mut reading, timeline, listed, identities } = of_source?;
    let rules = Arc::new(rules?);
    let OfTarget { applier, stored } = of_target?;
    if reading.is_binary() && !rules.is_binary() {
        reading = reading.reopen_as_text(&source).await?;
    }
    let is_binary = reading.is_binary();
    let connected = Connected { reader: reading.reader, is_binary, applier };
    let source = Arc::new(source);
    let mut begun = Begun { source, target, record, rules, states: BTreeMap::new(), listed };
    begun.check_identities(&identities)?;
    begun.set_states(stored, &options.target, status).await?;
    if timeline != begun.record.timeline {
        // The one that was accepted, and no later one.
        let set = begun.target.execute(SET_TIMELINE, &[&timeline]).await;
        set.map_err(Error::from).map_err(failed())?;
        begun.record.timeline = timeline;
    }
    if config != begun.record.config {
        let known = begun.rules.known.iter();
        let known = known.flat_map(|(name, columns)| known_statements(name, columns));
        let known = known.collect::<Vec<_>>().join(";");
        begun.target.execute_all(&known).await.map_err(failed())?;
        begun.target.execute(SET_CONFIG, &[&config]).await.map_err(Error::from).map_err(failed())?;
    }
    Ok((begun, connected))
}

/// What the source says of the stream.
struct OfSource {
    reading: Reading,
    timeline: i32,
    listed: Listed,
    identities: Vec<Row>,
}

impl OfSource {
    async fn read(
        source: &Session,
        options: &Options,
        record: (&StreamRecord, Lsn),
        as_text: bool,
    ) -> Result<Self, StreamError> {
        let (reading, timeline) = slot::open(source, options, record, !as_text).await?;
        let (listed, identities) = tokio::join!(
            Listed::read(source, &record.0.publications),
            source.query(IDENTITIES, &[])
        );
        let listed = listed.map_err(StreamError::source("read the publications"))?;
        let identities = identities.map_err(Error::from);
        let identities = identities.map_err(StreamError::source("read the replica identities"))?;
        Ok(Self { reading, timeline, listed, identities })
    }
}

/// What the target says of it.
struct OfTarget {
    applier: Applier,
    stored: Stored,
}

impl OfTarget {
    /// With the target's lock held: the applier ends what an earlier stream left behind, which may
    /// commit until then.
    async fn read(
        target: &Session,
        options: &Options,
        slot_name: &str,
    ) -> Result<Self, StreamError> {
        let (info, on_error) = (options.target.clone(), options.on_error);
        let slot_name = slot_name.to_owned();
        let connect = move || Applier::connect(&info, &slot_name, on_error);
        let applier = tokio::task::spawn_blocking(connect).await;
        let applier = applier.map_err(|_| StreamError::Panicked)?.map_err(StreamError::Apply)?;
        Ok(Self { applier, stored: Stored::read(target).await? })
    }
}

/// What the target holds of the tables.
struct Stored {
    states: BTreeMap<String, (TableState, Option<String>, String)>,
    /// Which tables of the source they are.
    sources: BTreeMap<String, Oid>,
    quarantined: u64,
    /// Names of the columns of the target's tables, without those that it computes.
    columns: HashMap<RelationName, HashSet<String>>,
}

impl Stored {
    async fn read(target: &Session) -> Result<Self, StreamError> {
        let read = tokio::try_join!(
            target.query(STATES, &[]),
            target.query_one(QUARANTINED, &[]),
            target.query(COLUMNS, &[])
        );
        let failed = StreamError::target("read the tables' states");
        let (states, quarantined, columns) = read.map_err(Error::from).map_err(failed)?;
        let state = |row: &Row| {
            let (state, reason, hash) = (TableState::parse(row.get(1)), row.get(2), row.get(3));
            (row.get(0), (state, reason, hash))
        };
        let table = |row: &Row| {
            let name = RelationName::new(row.get::<_, String>(0), row.get::<_, String>(1));
            (name, row.get::<_, Vec<String>>(2).into_iter().collect())
        };
        let failed = StreamError::target("read which tables are followed");
        Ok(Self {
            states: states.iter().map(state).collect(),
            sources: source_oids(target).await.map_err(failed)?,
            quarantined: u64::try_from(quarantined.get::<_, i64>(0)).unwrap_or(0),
            columns: columns.iter().map(table).collect(),
        })
    }
}

/// One stream a target. A backend that served us before and has not noticed that its connection
/// is gone is ended.
async fn lock(
    target: &Session,
    holder: &mut Option<i32>,
    shutdown: &watch::Receiver<bool>,
) -> Result<(), StreamError> {
    let failed = || StreamError::target("lock the target");
    if let Some(pid) = *holder {
        target.query(END_HOLDER, &[&pid, &NAME]).await.map_err(Error::from).map_err(failed())?;
    }
    let deadline = Instant::now() + LOCK_PATIENCE;
    while Journal::lock(target).await.map_err(failed())?.is_none() {
        if Instant::now() > deadline || *shutdown.borrow() {
            return Err(StreamError::TargetBusy);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let own = target.query_one("select pg_catalog.pg_backend_pid()", &[]).await;
    *holder = Some(own.map_err(Error::from).map_err(failed())?.get(0));
    Ok(())
}

/// Rows that another key or another version masks would not fit those that are there.
fn same_masks(record: &StreamRecord, key: &RootKey) -> Result<(), StreamError> {
    let what = if record.key_id != key.id() {
        "key"
    } else if u32::try_from(record.algorithm_version) != Ok(op::ALGORITHM_VERSION)
        || record.dictionary_hash != op::dictionary_hash()
    {
        "version of backlot's transforms"
    } else {
        return Ok(());
    };
    Err(StreamError::OtherRun { what })
}

impl Begun {
    /// A rule that an old key alone cannot repeat would lose updates without a word.
    fn check_identities(&self, identities: &[Row]) -> Result<(), StreamError> {
        for row in identities {
            let name = RelationName::new(row.get::<_, String>(0), row.get::<_, String>(1));
            let columns: Vec<String> = row.get(2);
            let columns = columns.iter().map(String::as_str).collect::<Vec<_>>();
            if let Some((table, plan)) = self.rules.find(&name) {
                check_identity(table, plan, &columns)?;
            }
        }
        Ok(())
    }

    /// Tables of the source that others have taken the place of, and statements that write down
    /// which ones they are now. What is known of their columns goes by the names from here on.
    fn replaced(
        &mut self,
        sources: &BTreeMap<String, Oid>,
    ) -> Result<(HashSet<RelationName>, String), StreamError> {
        let (mut replaced, mut renumbered) = (HashSet::new(), BTreeMap::new());
        let mut now = BTreeMap::new();
        for (table, _) in self.rules.followed() {
            let Some(root) = self.rules.root(&table.name) else { continue };
            for one in [table, root] {
                match sources.get(&one.name.to_string()) {
                    Some(oid) if *oid == one.oid => continue,
                    Some(_) => {
                        replaced.insert(table.name.clone());
                        if let Some(known) = self.rules.known.get(&one.name) {
                            renumbered.insert(one.name.clone(), one.renumbered(known));
                        }
                    }
                    None => {}
                }
                now.insert(one.name.clone(), one.oid);
            }
        }
        let known = renumbered.iter().flat_map(|(name, known)| known_statements(name, known));
        let writes = known.chain(source_statement(&now)).map(|sql| sql + ";").collect();
        if !renumbered.is_empty() {
            self.rules = Arc::new(self.rules.knowing(renumbered)?);
        }
        Ok((replaced, writes))
    }

    /// Statements that write down what the target has of tables of which that is not known yet.
    fn know_columns(
        &mut self,
        columns: &HashMap<RelationName, HashSet<String>>,
    ) -> Result<String, StreamError> {
        let mut first = BTreeMap::new();
        for (table, _) in self.rules.followed() {
            let Some(root) = self.rules.root(&table.name) else { continue };
            let Some(there) = columns.get(&root.name) else { continue };
            if !self.rules.known.contains_key(&root.name) {
                first
                    .entry(root.name.clone())
                    .or_insert_with(|| root.known_columns(|name| there.contains(name)));
            }
        }
        let statements = first.iter().flat_map(|(root, known)| known_statements(root, known));
        let writes = statements.map(|statement| statement + ";").collect();
        if !first.is_empty() {
            self.rules = Arc::new(self.rules.knowing(first)?);
        }
        Ok(writes)
    }

    /// What tables are from now on that came later. `new`: of which no state is known. `refused`:
    /// partitions that the target could not make before.
    async fn arrive(
        &self,
        (new, refused): (&[RelationName], HashSet<RelationName>),
        target: &ConnInfo,
        columns: &mut HashMap<RelationName, HashSet<String>>,
        status: &Status,
    ) -> Result<BTreeMap<RelationName, State>, StreamError> {
        if new.is_empty() && refused.is_empty() {
            return Ok(BTreeMap::new());
        }
        let (source, listed) = (&self.source, &self.listed);
        let there = columns.keys().cloned().collect::<HashSet<_>>();
        let above = |name: &RelationName| self.rules.with_parents(name);
        let missing = new.iter().chain(&refused).flat_map(above);
        let missing = missing.filter(|name| !there.contains(name)).collect::<BTreeSet<_>>();
        let missing = missing.into_iter().collect::<Vec<_>>();
        let mut maker = Maker { source, target, listed, status, there, is_streaming: false };
        let mut arrived = maker.make(&missing, &refused).await?;
        for name in new {
            let family = self.rules.with_parents(name);
            arrived.entry(name.clone()).or_insert_with(|| {
                if maker.there.contains(name) {
                    // Somebody else made it there.
                    to_copy(listed, &family)
                } else {
                    (TableState::Stale, Some("the target does not have it".to_owned()))
                }
            });
            if let Some(of_root) = family.last().and_then(|root| columns.get(root)).cloned() {
                columns.entry(name.clone()).or_insert(of_root);
            }
        }
        Ok(arrived)
    }

    /// The statement that forgets tables that neither side has any more, and new partitioned tables
    /// that are followed by now: their partitions have states of their own.
    fn forget_gone(
        &self,
        stored: &BTreeMap<String, (TableState, Option<String>, String)>,
        columns: &HashMap<RelationName, HashSet<String>>,
    ) -> String {
        let source = self.rules.catalog.iter().map(|(_, table)| table.name.to_string());
        let there = source.chain(columns.keys().map(ToString::to_string)).collect::<HashSet<_>>();
        let later = self.rules.later.iter().collect::<HashSet<_>>();
        let roots = self.rules.catalog.iter().map(|(_, table)| table);
        let roots = roots.filter(|table| table.kind == RelationKind::Partitioned);
        let taken = roots.filter(|table| !later.contains(&table.name));
        let taken = taken.map(|table| table.name.to_string()).collect::<HashSet<_>>();
        let is_gone = |name: &&String| !there.contains(*name) || taken.contains(*name);
        forget_statement(stored.keys().filter(is_gone)).map_or_else(String::new, |sql| sql + ";")
    }

    /// Says what the tables are from now on. A table whose rules are not those that its rows were
    /// masked by is to be copied again.
    async fn set_states(
        &mut self,
        stored: Stored,
        target: &ConnInfo,
        status: &Status,
    ) -> Result<(), StreamError> {
        let Stored { states: stored, sources, quarantined, mut columns } = stored;
        status.set_quarantined(quarantined);
        let (replaced, mut writes) = self.replaced(&sources)?;
        writes += &self.know_columns(&columns)?;
        let new = self.rules.followed().map(|(table, _)| &table.name);
        let new = new.filter(|name| !stored.contains_key(&name.to_string())).cloned();
        let new = new.collect::<Vec<_>>();
        let is_refused = |name: &&RelationName| {
            let state = stored.get(&name.to_string()).map(|(state, _, _)| *state);
            state == Some(TableState::Stale)
                && !columns.contains_key(*name)
                && self.rules.with_parents(name).len() > 1
        };
        let refused = self.rules.followed().map(|(table, _)| &table.name).filter(is_refused);
        let refused = refused.cloned().collect();
        let mut arrived = self.arrive((&new, refused), target, &mut columns, status).await?;
        for name in &self.rules.later {
            let is_told =
                stored.get(&name.to_string()).is_some_and(|one| one.0 == TableState::Stale);
            if !is_told {
                say_later(name, status);
                writes += &state_statement(name, TableState::Stale, Some(LATER), "");
                writes.push(';');
            }
        }
        writes += &self.forget_gone(&stored, &columns);
        for (table, plan) in self.rules.followed() {
            let target = routed_target(plan, table, &self.rules.catalog);
            let there = columns.get(&target);
            // A column that only the source has changes nothing.
            let is_there = |name: &str| there.is_none_or(|there| there.contains(name));
            let hash = plan.rules_hash(table, is_there);
            let known = stored.get(&table.name.to_string());
            let (state, reason) = match (arrived.remove(&table.name), known) {
                (Some(arrived), _) => arrived,
                (None, None) => (TableState::Stale, Some(LATER.to_owned())),
                (None, Some((TableState::Streaming | TableState::InsertOnly, _, _)))
                    if !self.listed.has(&self.rules.with_parents(&table.name)) =>
                {
                    say_unlisted(&table.name, status);
                    (TableState::Stale, Some(UNLISTED.to_owned()))
                }
                (None, Some((TableState::Streaming | TableState::InsertOnly, _, _)))
                    if replaced.contains(&table.name) =>
                {
                    (TableState::Resyncing, Some(REPLACED.to_owned()))
                }
                (None, Some((TableState::Streaming | TableState::InsertOnly, _, old)))
                    if !old.is_empty() && *old != hash =>
                {
                    (TableState::Resyncing, Some("its rules have changed".to_owned()))
                }
                (None, Some((state, reason, _))) => (*state, reason.clone()),
            };
            // Without a hash: it was made while the stream ran.
            if known.is_none_or(|(before, _, old)| *before != state || old.is_empty()) {
                writes += &state_statement(&table.name, state, reason.as_deref(), &hash);
                writes.push(';');
            }
            status.with_table(&table.name, |one| {
                one.state = state;
                one.reason.clone_from(&reason);
            });
            self.states.insert(table.name.clone(), state);
        }
        if writes.is_empty() {
            return Ok(());
        }
        let failed = StreamError::target("write the tables' states");
        self.target.execute_all(&writes).await.map_err(failed)
    }
}

/// Where the source's log ends now, as far as a walsender can ever read it.
pub(super) async fn end_of_source(source: &Session) -> Result<Lsn, StreamError> {
    let deadline = Instant::now() + FLUSH_LIMIT;
    let mut wanted = None;
    loop {
        let (insert, flush) =
            positions(source).await.map_err(StreamError::source("read the source's position"))?;
        let wanted = *wanted.get_or_insert(Lsn(insert.0.saturating_sub(PAGE_HEADER_BYTES)));
        if flush >= wanted || Instant::now() > deadline {
            return Ok(flush);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn positions(source: &Session) -> Result<(Lsn, Lsn), Error> {
    let row = source.query_one(POSITIONS, &[]).await?;
    let lsn = |at| {
        let text: Option<&str> = row.get(at);
        let lsn = text.unwrap_or_default().parse::<Lsn>();
        lsn.map_err(|_| Error::Protocol("a pg_lsn that cannot be read"))
    };
    Ok((lsn(0)?, lsn(1)?))
}

/// True if tables are still to be copied again.
pub(super) async fn is_asked(begun: &Begun) -> Result<bool, StreamError> {
    let row = begun.target.query_one(ASKED, &[]).await.map_err(Error::from);
    Ok(row.map_err(StreamError::target("read the requests"))?.get(0))
}

pub(super) async fn outcome(
    begun: &Begun,
    status: &Status,
    was_stopped: bool,
    sequences: usize,
) -> Result<Outcome, StreamError> {
    let sql = "select (select pg_catalog.count(*) from backlot.quarantine), \
               coalesce((select pg_catalog.array_agg(relation order by relation) from backlot.stream_table \
                where state in ('stale', 'resyncing')), '{}')";
    let row = begun.target.query_one(sql, &[]).await.map_err(Error::from);
    let row = row.map_err(StreamError::target("read the stream's state"))?;
    Ok(Outcome {
        was_stopped,
        checkpoint: status.numbers().applied,
        quarantined: u64::try_from(row.get::<_, i64>(0)).unwrap_or(0),
        stale: row.get(1),
        sequences,
    })
}
