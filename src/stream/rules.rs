//! The rules of a stream: the configuration that the clone was made by, bound to the source's
//! catalog as it is now.

use super::error::StreamError;
use super::order::Unit;
use crate::catalog::{self, Catalog, KnownColumn, KnownColumns, RelationKind, RelationName, Table};
use crate::pg::{ConnInfo, Error, Lsn, Session};
use crate::pii::evolve;
use crate::source::position;
use crate::table_sync::routed_target;
use crate::transform::plan::{Decisions, Plan, TableAction, TablePlan, bind, is_selected};
use crate::transform::spec::{Diagnostic, NewColumnPolicy, Spec, parse};
use std::collections::{BTreeMap, HashSet};

pub(super) struct Rules {
    /// As the configuration has it.
    spec: Spec,
    /// What the target has of each table.
    pub(super) known: KnownColumns,
    pub(super) catalog: Catalog,
    /// The catalog shows what committed before it.
    pub(super) read_at: Lsn,
    pub(super) plan: Plan,
    /// Tables of the source that came after the clone and are not followed.
    pub(super) later: Vec<RelationName>,
}

impl From<RulesError> for StreamError {
    fn from(error: RulesError) -> Self {
        match error {
            RulesError::Source(source) => Self::source("read the source's catalog")(source),
            RulesError::Config(found) => Self::Config(found),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum RulesError {
    #[error("read the source's catalog")]
    Source(#[source] Error),
    #[error("the configuration does not fit the source ({} problems)", .0.len())]
    Config(Vec<Diagnostic>),
}

impl Rules {
    /// `config` is an effective transforms.yaml: it decides every column that was there when it
    /// was made. Those that came later are decided as [`evolve`] says. `is_new`: it was made just
    /// now, and decides all columns by the names that they have now.
    pub(super) async fn load(
        (config, is_new): (&str, bool),
        source: &ConnInfo,
        mut known: KnownColumns,
    ) -> Result<Self, RulesError> {
        let spec = parse(config, "the stream's transforms.yaml").map_err(RulesError::Config)?;
        let (catalog, read_at) = read_catalog(source).await?;
        for (name, columns) in known.iter_mut().filter(|_| is_new) {
            let table = catalog.find(name).map(|id| catalog.table(id));
            for column in columns {
                let now = table
                    .and_then(|table| table.columns.iter().find(|one| one.number == column.number));
                column.origin = Some(now.map_or(&column.name, |now| &now.name).clone());
            }
        }
        Self::of(spec, (catalog, read_at), known)
    }

    /// The same rules, bound to the catalog as it is now.
    pub(super) async fn reload(
        &self,
        source: &ConnInfo,
        known: KnownColumns,
    ) -> Result<Self, RulesError> {
        Self::of(self.spec.clone(), read_catalog(source).await?, known)
    }

    /// The same rules, where the target has these columns of some tables.
    pub(super) fn knowing(
        &self,
        tables: impl IntoIterator<Item = (RelationName, Vec<KnownColumn>)>,
    ) -> Result<Self, RulesError> {
        let mut known = self.known.clone();
        known.extend(tables);
        Self::of(self.spec.clone(), (self.catalog.clone(), self.read_at), known)
    }

    fn of(
        spec: Spec,
        (catalog, read_at): (Catalog, Lsn),
        known: KnownColumns,
    ) -> Result<Self, RulesError> {
        let current = evolve(&spec, &catalog, &known);
        let plan = bind(&current, &catalog, &Decisions::default()).map_err(RulesError::Config)?;
        Ok(Self { spec, known, catalog, read_at, plan, later: current.later })
    }

    /// True if the configuration takes a table that is no partition.
    pub(super) fn selects(&self, table: &RelationName) -> bool {
        is_selected(&self.spec, table)
    }

    pub(super) fn new_column_policy(&self) -> NewColumnPolicy {
        self.spec.defaults.new_column
    }

    /// True if the source has put other tables in the places of some that are followed.
    pub(super) fn replaces_tables_of(&self, before: &Self) -> bool {
        let is_other =
            |table: &Table| self.find(&table.name).is_some_and(|(now, _)| now.oid != table.oid);
        let mut followed = before.followed();
        followed.any(|(table, _)| is_other(table) || before.root(&table.name).is_some_and(is_other))
    }

    /// The table, or the root of the partitions that it is one of.
    pub(super) fn root(&self, name: &RelationName) -> Option<&Table> {
        let root = self.catalog.partition_root(self.catalog.find(name)?);
        Some(self.catalog.table(root))
    }

    /// True if rows of the table, or of its partitions, are followed.
    pub(super) fn is_followed(&self, root: &Table) -> bool {
        self.parts(&root.name).next().is_some()
            || (self.selects(&root.name) && !self.later.contains(&root.name))
    }

    /// The table and the partitioned tables above it.
    pub(super) fn with_parents(&self, name: &RelationName) -> Vec<RelationName> {
        let mut names = vec![name.clone()];
        let mut at = name.clone();
        while let Some(id) = self.catalog.find(&at) {
            let partitioning = &self.catalog.table(id).partitioning;
            let Some(parent) = partitioning.parents.first().filter(|_| partitioning.is_partition)
            else {
                break;
            };
            names.push(parent.clone());
            at = parent.clone();
        }
        names
    }

    /// The followed tables that a change of this table, or of this root of partitions, reaches.
    pub(super) fn parts(&self, root: &RelationName) -> impl Iterator<Item = (&Table, &TablePlan)> {
        self.followed()
            .filter(move |(table, _)| self.root(&table.name).is_some_and(|one| one.name == *root))
    }

    pub(super) fn find(&self, name: &RelationName) -> Option<(&Table, &TablePlan)> {
        let id = self.catalog.find(name)?;
        Some((self.catalog.table(id), self.plan.table(id)?))
    }

    /// Tables whose rows are followed: those that hold rows and are copied.
    pub(super) fn followed(&self) -> impl Iterator<Item = (&Table, &TablePlan)> {
        self.catalog.iter().filter_map(|(id, table)| {
            let plan = self.plan.table(id)?;
            let is_followed = plan.action == TableAction::Copy && table.kind == RelationKind::Table;
            is_followed.then_some((table, plan))
        })
    }

    /// True if all values of all followed tables arrive in binary as they left.
    pub(super) fn is_binary(&self) -> bool {
        self.followed().all(|(table, _)| table.copied_columns().all(|(_, one)| one.has_binary))
    }

    /// The partitioned table above a partition, or the table itself, for people.
    pub(super) fn root_of(&self, name: &RelationName) -> String {
        self.root(name).map_or_else(|| name.to_string(), |root| root.name.to_string())
    }

    /// The units that tables are copied again in. Partitions whose changes are sent as those of
    /// one of `senders`, the partitioned table above them, are one unit with it.
    pub(super) fn units(&self, senders: &HashSet<RelationName>) -> Vec<Unit> {
        let mut units = BTreeMap::<RelationName, Vec<RelationName>>::new();
        for (table, plan) in self.followed() {
            let target = self.sender(table, senders).cloned();
            let target = target.unwrap_or_else(|| routed_target(plan, table, &self.catalog));
            units.entry(target).or_default().push(table.name.clone());
        }
        units.into_iter().map(|(target, sources)| Unit { target, sources }).collect()
    }

    /// The topmost of the partitioned tables above this one that its changes are sent as.
    fn sender<'r>(
        &'r self,
        table: &'r Table,
        senders: &HashSet<RelationName>,
    ) -> Option<&'r RelationName> {
        let parent = |table: &&'r Table| {
            let parent = table.partitioning.parents.first();
            let parent = parent.filter(|_| table.partitioning.is_partition)?;
            Some(self.catalog.table(self.catalog.find(parent)?))
        };
        let above = std::iter::successors(Some(table), parent).map(|table| &table.name);
        above.skip(1).filter(|name| senders.contains(*name)).last()
    }

    /// The partitions of a partitioned table; None for any other.
    pub(super) fn parts_below(&self, name: &RelationName) -> Option<Vec<RelationName>> {
        let (table, _) = self.find(name)?;
        let root = self.root(name).filter(|_| table.kind == RelationKind::Partitioned)?;
        Some(self.parts(&root.name).map(|(part, _)| part.name.clone()).collect())
    }

    /// True if the column has a rule.
    pub(super) fn is_masked(&self, table: &RelationName, column: &str) -> bool {
        self.find(table).is_some_and(|(table, plan)| {
            let position = table.column(column).map(|(at, _)| at);
            let column = position.and_then(|at| plan.columns.get(at));
            column.is_some_and(|column| !column.rule.is_keep())
        })
    }
}

async fn read_catalog(source: &ConnInfo) -> Result<(Catalog, Lsn), RulesError> {
    let session = Session::connect(source, "backlot stream").await.map_err(RulesError::Source)?;
    // What committed before it is seen by whoever looks from here on.
    let position = position(&session).await.map_err(RulesError::Source)?;
    Ok((catalog::load(&session).await.map_err(RulesError::Source)?, position))
}
