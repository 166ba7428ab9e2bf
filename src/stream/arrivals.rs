//! Tables of the source that came after the clone.
//!
//! A partition of a table that is followed is made on the target too. Where it has been a partition
//! all its life, the stream brings all its rows; one that was attached is copied. Any other new
//! table is named and not followed.

use super::begin::Begun;
use super::error::StreamError;
use super::evolve::{alter, cause, executor};
use super::note::{first_state_statement, state_statement};
use super::rules::Rules;
use super::status::{Status, TableState};
use crate::catalog::{RelationName, TableName, table_names};
use crate::ddl::ExecuteError;
use crate::pg::{ConnInfo, Error, Oid, Session};
use crate::source::publication::Listed;
use std::collections::{BTreeMap, HashMap, HashSet};
use tokio_postgres::Row;

const PARTITIONS: &str = include_str!("sql/partitions.sql");
const THERE: &str = "select n.nspname::text, c.relname::text from pg_catalog.pg_class c \
     join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p')";
const STALE: &str = "select relation from backlot.stream_table where state = 'stale'";

/// Why a table is not followed.
pub(super) const LATER: &str = "it came after the clone";

/// Why nothing of a table comes any more.
pub(super) const UNLISTED: &str = "no publication of the stream has it";

/// Why only INSERT and TRUNCATE of a table are followed.
pub(super) const NO_IDENTITY: &str = "it has no replica identity";

/// What a table is from now on, and why, for people.
pub(super) type State = (TableState, Option<String>);

struct Partition {
    name: RelationName,
    parent: RelationName,
    bound: String,
    key: Option<String>,
    is_born: bool,
}

impl Partition {
    fn statement(&self) -> String {
        let key = self.key.as_ref().map(|key| format!(" partition by {key}")).unwrap_or_default();
        format!(
            "create table {} partition of {} {}{key}",
            self.name.sql(),
            self.parent.sql(),
            self.bound
        )
    }
}

fn relation(row: &Row, at: usize) -> RelationName {
    RelationName::new(row.get::<_, String>(at), row.get::<_, String>(at + 1))
}

async fn describe(
    source: &Session,
    wanted: &[RelationName],
) -> Result<Vec<Partition>, StreamError> {
    let schemas = wanted.iter().map(|name| name.schema.as_str()).collect::<Vec<_>>();
    let names = wanted.iter().map(|name| name.name.as_str()).collect::<Vec<_>>();
    let rows = source.query(PARTITIONS, &[&schemas, &names]).await.map_err(Error::from);
    let rows = rows.map_err(StreamError::source("read new partitions"))?;
    let partition = |row: &Row| Partition {
        name: relation(row, 0),
        parent: relation(row, 2),
        bound: row.get("bound"),
        key: row.get("partition_key"),
        is_born: row.get("is_born"),
    };
    Ok(rows.iter().map(partition).collect())
}

/// Of a table, of which nothing is missing: by its own name or that of a table above it.
fn followed(listed: &Listed, family: &[RelationName]) -> State {
    if !listed.has(family) {
        let reason = format!("{LATER}, and no publication of the stream has it");
        (TableState::Stale, Some(reason))
    } else if listed.is_insert_only(family) {
        (TableState::InsertOnly, Some(NO_IDENTITY.to_owned()))
    } else {
        (TableState::Streaming, None)
    }
}

/// Of a table that may have had rows that the stream did not bring.
pub(super) fn to_copy(listed: &Listed, family: &[RelationName]) -> State {
    match followed(listed, family) {
        not_listed @ (TableState::Stale, _) => not_listed,
        _ => (TableState::Resyncing, Some(LATER.to_owned())),
    }
}

/// Makes partitions on the target, each in a transaction with the state that it has from then on.
pub(super) struct Maker<'m> {
    pub(super) source: &'m Session,
    pub(super) target: &'m ConnInfo,
    pub(super) listed: &'m Listed,
    pub(super) status: &'m Status,
    /// The target's tables.
    pub(super) there: HashSet<RelationName>,
    /// Rows are passed over meanwhile: a state that says so is kept.
    pub(super) is_streaming: bool,
}

impl Maker<'_> {
    /// Makes those of these partitions whose parents the target has; the others are left out.
    /// `missed`: some rows of these may have been passed over.
    pub(super) async fn make(
        &mut self,
        wanted: &[RelationName],
        missed: &HashSet<RelationName>,
    ) -> Result<BTreeMap<RelationName, State>, StreamError> {
        let mut left = describe(self.source, wanted).await?;
        let parents = left.iter().map(|one| (one.name.clone(), one.parent.clone()));
        let parents = parents.collect::<BTreeMap<_, _>>();
        let mut states = BTreeMap::new();
        let mut executor = executor(self.target);
        // Parents first: each round makes what hangs below what is there.
        while let Some(at) = left.iter().position(|one| self.there.contains(&one.parent)) {
            let partition = left.swap_remove(at);
            let above = |name: &RelationName| parents.get(name).cloned();
            let family = std::iter::successors(Some(partition.name.clone()), above);
            let family = family.collect::<Vec<_>>();
            let is_whole = partition.is_born && !missed.contains(&partition.name);
            let state = if is_whole {
                followed(self.listed, &family)
            } else {
                to_copy(self.listed, &family)
            };
            let mut statements = vec![partition.statement()];
            if partition.key.is_none() {
                let write = if self.is_streaming { first_state_statement } else { state_statement };
                statements.push(write(&partition.name, state.0, state.1.as_deref(), ""));
            }
            let state = match alter(&mut executor, "make a new partition", &statements).await {
                Ok(()) => {
                    let (name, parent) = (&partition.name, &partition.parent);
                    tracing::info!(table = %name, "a new partition is followed");
                    self.status.note(format!("{name}: a new partition of {parent}"));
                    self.there.insert(name.clone());
                    state
                }
                Err(ExecuteError::Connect(source) | ExecuteError::Lost { source, .. }) => {
                    return Err(StreamError::target("make a new partition")(source));
                }
                Err(error) => {
                    let reason =
                        format!("{LATER}, and the target cannot make it: {}", cause(&error));
                    (TableState::Stale, Some(reason))
                }
            };
            states.insert(partition.name, state);
        }
        Ok(states)
    }
}

pub(super) fn say_later(table: &RelationName, status: &Status) {
    tracing::warn!(%table, "a new table is not followed");
    status.note(format!(
        "{table} came after the clone and is not followed; `backlot clone resync {table}` brings it, \
         and `exclude:` in transforms.yaml leaves it out"
    ));
    status.with_table(table, |one| {
        one.state = TableState::Stale;
        one.reason = Some(LATER.to_owned());
    });
}

pub(super) fn say_unlisted(table: &RelationName, status: &Status) {
    tracing::warn!(%table, "a table is not followed any more");
    status.note(format!(
        "{table} is not followed any more: {UNLISTED} (has another table taken its place?); \
         `backlot clone resync {table}`, with the source's URL, brings it"
    ));
}

/// Looks for new tables while the stream runs.
pub(super) struct Lookout {
    /// By name, and whether it is a partition.
    seen: HashSet<(RelationName, bool)>,
    /// Which tables the followed ones are.
    followed: HashMap<RelationName, Oid>,
}

/// What has come since the last look.
pub(super) struct Sighted {
    /// Tables that are not followed.
    pub(super) later: Vec<RelationName>,
    /// A partition has to be copied, because it was attached with rows or because rows of it were
    /// passed over, or another table has taken the place of one: that needs another session.
    pub(super) needs_session: bool,
}

impl Lookout {
    pub(super) fn new(rules: &Rules) -> Self {
        let seen = rules.catalog.iter();
        let seen = seen.map(|(_, table)| (table.name.clone(), table.partitioning.is_partition));
        let followed =
            rules.followed().flat_map(|(table, _)| [Some(table), rules.root(&table.name)]);
        let followed = followed.flatten().map(|table| (table.name.clone(), table.oid));
        Self { seen: seen.collect(), followed: followed.collect() }
    }

    pub(super) async fn look(
        &mut self,
        begun: &Begun,
        target: &ConnInfo,
        status: &Status,
    ) -> Result<Sighted, StreamError> {
        let now = table_names(&begun.source).await;
        let now = now.map_err(StreamError::source("look for new tables"))?;
        let is_other =
            |one: &TableName| self.followed.get(&one.name).is_some_and(|oid| *oid != one.oid);
        let mut needs_session = now.iter().any(is_other);
        let new = now.into_iter().map(|one| (one.name, one.is_partition));
        let new = new.filter(|one| !self.seen.contains(one)).collect::<Vec<_>>();
        let is_later = |name: &RelationName| begun.rules.selects(name);
        let later = new.iter().filter(|(name, is_partition)| !is_partition && is_later(name));
        let later = later.map(|(name, _)| name.clone()).collect();
        let wanted = new.iter().filter(|(_, is_partition)| *is_partition);
        let wanted = wanted.map(|(name, _)| name.clone()).collect::<Vec<_>>();
        if !wanted.is_empty() {
            let partitions = describe(&begun.source, &wanted).await?;
            let of_ours = |one: &&Partition| {
                begun.rules.root(&one.parent).is_none_or(|root| begun.rules.is_followed(root))
            };
            let ours = partitions.iter().filter(of_ours).collect::<Vec<_>>();
            let rows = begun.target.query(THERE, &[]).await.map_err(Error::from);
            let rows = rows.map_err(StreamError::target("look for partitions"))?;
            let there = rows.iter().map(|row| relation(row, 0)).collect::<HashSet<_>>();
            // A transaction that was sent before it committed showed a partition that the source's
            // catalog did not have yet.
            let rows = begun.target.query(STALE, &[]).await.map_err(Error::from);
            let rows = rows.map_err(StreamError::target("look for stale tables"))?;
            let stale = rows.iter().map(|row| row.get(0)).collect::<HashSet<String>>();
            let is_passed_over =
                |name: &RelationName| !there.contains(name) && stale.contains(&name.to_string());
            let is_whole = |one: &&&Partition| one.is_born && !is_passed_over(&one.name);
            needs_session |= !ours.iter().all(|one| is_whole(&one));
            let born = ours.iter().filter(is_whole).map(|one| one.name.clone());
            let born = born.filter(|name| !there.contains(name)).collect::<Vec<_>>();
            let source = &begun.source;
            // Publications change while a stream runs.
            let listed = Listed::read(source, &begun.record.publications).await;
            let listed = &listed.map_err(StreamError::source("read the publications"))?;
            let mut maker = Maker { source, target, listed, status, there, is_streaming: true };
            // What is refused is looked at again by the next session.
            maker.make(&born, &HashSet::new()).await?;
        }
        self.seen
            .extend(new.into_iter().filter(|(_, is_partition)| !is_partition || !needs_session));
        Ok(Sighted { later, needs_session })
    }
}
