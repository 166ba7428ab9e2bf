//! A table that came to the source after its clone is made on the target and followed from then
//! on. Its rows come by a re-sync.

use super::error::{CloneError, Side};
use super::options::Tools;
use super::run::connect;
use super::schema::carry_tables;
use crate::catalog::{self, Catalog, KnownColumn, RelationName, Table, TableId};
use crate::pg::{ConnInfo, Error, Ident, Literal, Session};
use crate::source::publication::{
    Following, Listed, PublicationNames, add_to_publications, plan_publications,
    relation_identities,
};
use crate::state::{StreamRecord, known_columns, known_statements};
use crate::transform::plan::is_selected;
use crate::transform::spec::{NewColumnPolicy, parse};
use std::collections::HashSet;

const THERE: &str = "select pg_catalog.to_regclass($1::text) is not null";
const ADD_PUBLICATIONS: &str = "update backlot.stream set publications = \
     array(select distinct name from pg_catalog.unnest(publications || $1::text[]) name order by name)";

/// Why a new table is not brought.
#[derive(Debug, thiserror::Error)]
pub enum BringError {
    #[error("{table} came after the clone, and `new_column: {policy}` lets nothing of it in")]
    Closed { table: RelationName, policy: &'static str },
    #[error("{table} cannot be followed: {reason}")]
    NotFollowable { table: RelationName, reason: String },
    #[error("{table} is in none of the publications {}", .publications.join(", "))]
    NotPublished { table: RelationName, publications: Vec<String> },
}

/// New tables that are to be followed.
pub struct Bring {
    source: Session,
    target: Session,
    servers: (ConnInfo, ConnInfo),
    record: StreamRecord,
    catalog: Catalog,
    tables: Vec<TableId>,
    /// Of which the stream has known.
    known: HashSet<RelationName>,
}

impl Bring {
    /// Looks which of the tables came after the clone of this target; None if none did, so that
    /// there is nothing to bring.
    ///
    /// # Errors
    /// [`CloneError`], also if the configuration lets in nothing that it does not name.
    pub async fn look(
        source: &ConnInfo,
        target: &ConnInfo,
        tables: &[RelationName],
    ) -> Result<Option<Self>, CloneError> {
        let servers = (source.clone(), target.clone());
        let target = connect(target, Side::Target).await?;
        let failed = || CloneError::query("read the stream's state");
        let Some((record, _)) = StreamRecord::read(&target).await.map_err(failed())? else {
            return Ok(None);
        };
        let known = known_columns(&target).await.map_err(failed())?;
        if known.is_empty() {
            return Ok(None);
        }
        let source = connect(source, Side::Source).await?;
        let failed = || CloneError::query("read the source's catalog");
        let catalog = catalog::load(&source).await.map_err(failed())?;
        let listed = Listed::read(&source, &record.publications).await;
        let listed = listed.map_err(CloneError::query("read the publications"))?;
        let spec =
            parse(&record.config, "the stream's transforms.yaml").map_err(CloneError::Config)?;
        let identities = relation_identities(&source, &catalog).await;
        let identities =
            identities.map_err(CloneError::query("read the tables' replica identities"))?;
        // One that is known and could be published, and is not, has the place of one that was.
        let is_replacement = |id: TableId| {
            let plan = plan_publications(
                &catalog,
                &family(&catalog, id).into_iter().collect(),
                &identities,
            );
            let mut tables = plan.tables.iter();
            !listed.has(&names(&catalog, id))
                && !tables.any(|one| matches!(one.following, Following::Not { .. }))
        };
        let new = |name: &RelationName| {
            let id = catalog.find(name).filter(|id| catalog.partition_root(*id) == *id)?;
            let is_missing = !known.contains_key(name) || is_replacement(id);
            (is_selected(&spec, name) && is_missing).then_some(id)
        };
        let tables = tables.iter().filter_map(new).collect::<Vec<_>>();
        let unknown = |id: &&TableId| !known.contains_key(&catalog.table(**id).name);
        let first = tables.iter().find(unknown);
        if tables.is_empty() {
            return Ok(None);
        }
        let policy = match spec.defaults.new_column {
            NewColumnPolicy::Detect => None,
            NewColumnPolicy::Null => Some("null"),
            NewColumnPolicy::StopTable => Some("stop_table"),
        };
        if let (Some(policy), Some(first)) = (policy, first) {
            let table = catalog.table(*first).name.clone();
            return Err(BringError::Closed { table, policy }.into());
        }
        let known = known.into_keys().collect();
        Ok(Some(Self { source, target, servers, record, catalog, tables, known }))
    }

    /// Publishes the tables, makes them on the target, and notes that the stream knows them. Killed
    /// on the way, it is found by the next [`Self::look`] and goes on.
    ///
    /// # Errors
    /// [`CloneError`] names the table and what it lacks.
    pub async fn run(mut self, tools: &Tools) -> Result<Vec<RelationName>, CloneError> {
        self.publish().await?;
        // All rows of a partition that comes from here on are sent.
        let names = self.tables.iter().map(|id| self.catalog.table(*id).name.clone());
        let names = names.collect::<Vec<_>>();
        let failed = CloneError::query("read the source's catalog");
        self.catalog = catalog::load(&self.source).await.map_err(failed)?;
        self.tables = names.iter().filter_map(|name| self.catalog.find(name)).collect();
        for id in &self.tables {
            self.make(*id, tools).await?;
        }
        let known = |table: &Table| known_statements(&table.name, &new_columns(table));
        let new = self.tables.iter().map(|id| self.catalog.table(*id));
        let known = new.filter(|table| !self.known.contains(&table.name)).flat_map(known);
        // Until they are copied, whoever is killed meanwhile.
        let family = self.tables.iter().flat_map(|id| self.family(*id));
        let stale = family.map(|id| {
            format!(
                "insert into backlot.stream_table (relation, state, reason, rules_hash) \
                 values ({}, 'stale', 'it came after the clone', '') on conflict (relation) do nothing",
                Literal(&self.catalog.table(id).name.to_string())
            )
        });
        let statements = known.chain(stale).collect::<Vec<_>>().join(";");
        let noted = self.target.execute_all(&format!("begin;{statements};commit")).await;
        noted.map_err(CloneError::query("note the new tables"))?;
        Ok(self.tables.iter().map(|id| self.catalog.table(*id).name.clone()).collect())
    }

    fn family(&self, id: TableId) -> Vec<TableId> {
        family(&self.catalog, id)
    }

    fn names(&self, id: TableId) -> Vec<RelationName> {
        names(&self.catalog, id)
    }

    async fn publish(&self) -> Result<(), CloneError> {
        let failed = || CloneError::query("read the tables' replica identities");
        let identities = relation_identities(&self.source, &self.catalog).await.map_err(failed())?;
        let listed = Listed::read(&self.source, &self.record.publications).await;
        let listed = listed.map_err(CloneError::query("read the publications"))?;
        let is_published = |id: &TableId| listed.has(&self.names(*id));
        let missing = self.tables.iter().filter(|id| !is_published(id)).collect::<Vec<_>>();
        let Some(first) = missing.first() else { return Ok(()) };
        if !self.record.owns_publications {
            let table = self.catalog.table(**first).name.clone();
            let publications = self.record.publications.clone();
            return Err(BringError::NotPublished { table, publications }.into());
        }
        let copied = missing.iter().flat_map(|id| self.family(**id)).collect();
        let plan = plan_publications(&self.catalog, &copied, &identities);
        for followed in plan
            .tables
            .iter()
            .filter(|one| self.catalog.find(&one.name).is_some_and(|id| copied.contains(&id)))
        {
            if let Following::Not { reason } = &followed.following {
                let (table, reason) = (followed.name.clone(), reason.clone());
                return Err(BringError::NotFollowable { table, reason }.into());
            }
        }
        let names = PublicationNames::of_slot(&self.record.slot_name);
        let used = add_to_publications(&self.source, &names, &plan).await;
        let used = used.map_err(super::FollowError::Publication)?;
        let noted = self.target.execute(ADD_PUBLICATIONS, &[&used]).await.map_err(Error::from);
        noted.map_err(CloneError::query("note the publications")).map(drop)
    }

    async fn make(&self, id: TableId, tools: &Tools) -> Result<(), CloneError> {
        let table = &self.catalog.table(id).name;
        let failed = || CloneError::query("make the new table");
        let row = self.target.query_one(THERE, &[&table.sql()]).await.map_err(Error::from);
        if row.map_err(failed())?.get(0) {
            return Ok(());
        }
        let schema = format!("create schema if not exists {}", Ident(&table.schema));
        self.target.execute_all(&schema).await.map_err(failed())?;
        let (source, target) = &self.servers;
        carry_tables((source, target), tools, &self.names(id)).await
    }
}

/// The table and its partitions.
fn family(catalog: &Catalog, id: TableId) -> Vec<TableId> {
    let is_in = |one: &TableId| catalog.partition_root(*one) == id;
    catalog.iter().map(|(id, _)| id).filter(is_in).collect()
}

fn names(catalog: &Catalog, id: TableId) -> Vec<RelationName> {
    family(catalog, id).into_iter().map(|one| catalog.table(one).name.clone()).collect()
}

/// All of them came later: none is decided by a rule of the configuration.
fn new_columns(table: &Table) -> Vec<KnownColumn> {
    let mut columns = table.known_columns(|_| true);
    for column in &mut columns {
        column.origin = None;
    }
    columns
}
