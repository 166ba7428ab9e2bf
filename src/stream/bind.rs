//! Binding: from a Relation message to the table that its rows are written to and the masks that
//! they go through.
//!
//! A row of a shape that the plan does not know is never written in that shape: the source's
//! catalog is read again and the rules are bound anew; columns that the target does not have are
//! dropped (set to NULL before anything else sees them); any other difference makes the table
//! stale until it is copied again. Nor is a row written whose columns only look like known ones.

mod states;

use super::error::StreamError;
use super::evolve::Evolution;
use super::fit::{
    BadIdentity, Step, Unfit, check_identity, difference, leaf_count, mask, rules_of,
    sent_identity, step,
};
use super::look::{Eye, LiveColumn, Seen, Standing, View, columns_of, shows};
use super::machine::{Binding, BufferId, Followed, Route, Shape};
use super::note::hash_statement;
use super::rules::{Rules, RulesError};
use super::status::{Status, TableState};
use crate::catalog::{RelationName, Table, TableId};
use crate::ddl::ExecuteError;
use crate::pg::{ConnInfo, Error, Lsn, Wire};
use crate::sink::apply::{BoundColumn, SentIdentity, TargetTable, load_target};
use crate::table_sync::routed_target;
use crate::transform::TupleStage;
use crate::transform::key::RootKey;
use crate::transform::plan::{TableAction, TablePlan};
use crate::transform::spec::{Diagnostic, NewColumnPolicy};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

#[derive(Debug, thiserror::Error)]
pub(super) enum BindError {
    #[error("read the source's catalog")]
    Source(#[source] Error),
    #[error("read the target's catalog")]
    Target(#[source] Error),
    #[error("the configuration does not fit the source ({} problems)", .0.len())]
    Config(Vec<Diagnostic>),
    /// Not an error of anybody: the session has to be one without binary values.
    #[error("a column's values cannot be read in binary")]
    NeedsText,
    #[error(transparent)]
    Identity(#[from] BadIdentity),
}

impl From<RulesError> for BindError {
    fn from(error: RulesError) -> Self {
        match error {
            RulesError::Source(source) => Self::Source(source),
            RulesError::Config(found) => Self::Config(found),
        }
    }
}

impl From<BindError> for StreamError {
    fn from(error: BindError) -> Self {
        match error {
            BindError::Source(error) => Self::source("read the source's catalog")(error),
            BindError::Target(error) => Self::target("read the target's catalog")(error),
            BindError::Config(found) => Self::Config(found),
            BindError::NeedsText => Self::Protocol("values in another format".into()),
            BindError::Identity(error) => error.into(),
        }
    }
}

/// Binds the relations of one session.
pub(super) struct Binder {
    runtime: tokio::runtime::Handle,
    source: ConnInfo,
    target_info: ConnInfo,
    target: Wire,
    eye: Eye,
    /// What relations were last bound to.
    bound: HashMap<RelationName, Vec<LiveColumn>>,
    key: Arc<RootKey>,
    rules: Arc<Rules>,
    /// Tables that are not simply followed.
    states: HashMap<RelationName, TableState>,
    /// Target tables whose changes are kept, and why that cannot be gone on with, if so.
    spools: HashMap<RelationName, (BufferId, Option<String>)>,
    /// The session's values come in binary.
    is_binary: bool,
    status: Arc<Status>,
}

impl Binder {
    pub(super) fn new(
        eye: Eye,
        servers: (&ConnInfo, &ConnInfo),
        key: Arc<RootKey>,
        rules: Arc<Rules>,
        tables: &BTreeMap<RelationName, TableState>,
        is_binary: bool,
        status: Arc<Status>,
    ) -> Result<Self, Error> {
        let (source, target_info) = servers;
        let target = Wire::connect(target_info, "backlot stream bind")?;
        let (source, spools) = (source.clone(), HashMap::new());
        let target_info = target_info.clone();
        Ok(Self {
            runtime: eye.runtime.clone(),
            source,
            target_info,
            target,
            eye,
            bound: HashMap::new(),
            key,
            rules,
            states: HashMap::from_iter(tables.clone()),
            spools,
            is_binary,
            status,
        })
    }

    pub(super) fn set_rules(&mut self, rules: Arc<Rules>) {
        self.rules = rules;
    }

    /// Looks at the source's table, and reads the catalog again if that shows another. At every
    /// Relation message: one tells of any change of the table, also where it looks the same
    /// afterwards (pgoutput.c `rel_sync_cache_relation_cb`). `commit_lsn`: of its transaction, if
    /// that has committed; what the catalog was read behind of is not looked at again.
    pub(super) fn look(
        &mut self,
        shape: &Shape,
        commit_lsn: Option<Lsn>,
    ) -> Result<View, BindError> {
        let is_early = commit_lsn.is_none();
        if commit_lsn.is_none_or(|lsn| lsn >= self.rules.read_at) {
            match self.eye.see(shape.oid).map_err(BindError::Source)? {
                Seen::Columns(seen) if self.columns(shape).as_ref() != Some(&seen) => {
                    let before = Arc::clone(&self.rules);
                    self.reload(shape)?;
                    if self.rules.replaces_tables_of(&before) {
                        return Ok(View { table: Standing::Replaced, is_early });
                    }
                }
                Seen::Columns(_) | Seen::Nothing => {}
                Seen::Changing => return Ok(View { table: Standing::Changing, is_early }),
            }
        }
        let bound = self.bound.get(&shape.name);
        let is_other = bound.is_some_and(|bound| self.columns(shape).as_ref() != Some(bound));
        let table = if is_other { Standing::Other } else { Standing::Same };
        Ok(View { table, is_early })
    }

    /// As the catalog was read.
    fn columns(&self, shape: &Shape) -> Option<Vec<LiveColumn>> {
        let table = self.rules.catalog.table(self.rules.catalog.find(&shape.name)?);
        (table.oid == shape.oid).then(|| columns_of(table))
    }

    /// Binds a relation, which has been looked at; one that cannot be is given up.
    pub(super) fn bind(
        &mut self,
        shape: &Shape,
        view: &View,
    ) -> Result<(Binding, Route), BindError> {
        let found = self.rules.find(&shape.name);
        let is_clear = view.table != Standing::Changing
            && found.is_some_and(|(table, _)| shows(table, shape, false));
        match self.try_bind(shape)? {
            // By whose rules its rows would be masked is not known: they are not even held.
            Ok((_, Route::Skip)) if !is_clear => Ok((Binding::Dropped, Route::Skip)),
            Ok(bound) => Ok(bound),
            Err(Unfit(reason)) => {
                self.give_up(&shape.name, &reason)?;
                Ok((Binding::Dropped, Route::Skip))
            }
        }
    }

    /// Binds a relation once more; None where it does not fit any more.
    pub(super) fn rebind(&mut self, shape: &Shape) -> Result<Option<(Binding, Route)>, BindError> {
        self.try_bind(shape).map(Result::ok)
    }

    fn try_bind(&mut self, shape: &Shape) -> Result<Result<(Binding, Route), Unfit>, BindError> {
        match self.columns(shape) {
            Some(columns) => self.bound.insert(shape.name.clone(), columns),
            None => self.bound.remove(&shape.name),
        };
        let Some(id) = self.rules.catalog.find(&shape.name) else {
            return Ok(Err(Unfit("the source's catalog does not have it any more".into())));
        };
        let action = self.rules.plan.table(id).map(|plan| plan.action);
        if action != Some(TableAction::Copy) {
            return Ok(Ok((Binding::Dropped, Route::Skip)));
        }
        let followed = match self.fit(shape, id)? {
            Ok(followed) => followed,
            Err(unfit) => return Ok(Err(unfit)),
        };
        self.write_down(&followed.table.rules)?;
        let spool = self.spools.get(&followed.table.target);
        let route = spool.map_or_else(|| self.route(&shape.name), |(id, _)| Route::Spool(*id));
        Ok(Ok((Binding::Followed(Box::new(followed)), route)))
    }

    /// True if the relation is a partition that came since the session began and that the target
    /// does not have.
    pub(super) fn lacks_partition(&mut self, shape: &Shape) -> Result<bool, BindError> {
        let Some((_, plan)) = self.rules.find(&shape.name) else { return Ok(false) };
        let is_new = plan.action == TableAction::Copy && !self.states.contains_key(&shape.name);
        Ok(is_new && self.is_missing_partition(&shape.name)?)
    }

    fn is_missing_partition(&mut self, relation: &RelationName) -> Result<bool, BindError> {
        let found = self.rules.find(relation);
        if !found.is_some_and(|(table, _)| table.partitioning.is_partition) {
            return Ok(false);
        }
        let there = load_target(&mut self.target, relation).map_err(BindError::Target)?;
        Ok(there.is_none())
    }

    /// What has to be done before the relation is bound; None if nothing, or if the table is not
    /// followed now.
    pub(super) fn step(&mut self, shape: &Shape, view: &View) -> Result<Option<Step>, BindError> {
        let found = self.rules.find(&shape.name);
        let followed = found.filter(|(_, plan)| plan.action == TableAction::Copy);
        let needed = followed.and_then(|(table, _)| step(&self.rules, table, shape, view));
        if needed.is_none() || matches!(self.route(&shape.name), Route::Apply) {
            return Ok(needed);
        }
        if self.is_spooled(&shape.name) {
            self.give_up(&shape.name, "its columns changed while it was copied")?;
        }
        Ok(None)
    }

    /// `is_settled`: everything before is applied, and nothing behind is in the changes.
    pub(super) fn take(
        &mut self,
        shape: &Shape,
        step: Step,
        is_settled: bool,
    ) -> Result<(), BindError> {
        match step {
            Step::Evolve { evolution, is_exact } => {
                self.evolve(shape, &evolution, is_exact && is_settled)
            }
            Step::CopyAgain(reason) => self.copy_again(&shape.name, reason),
        }
    }

    /// Alters the target as the source was. Where that is not exact, or rows that are there changed
    /// too, the table is copied again.
    fn evolve(
        &mut self,
        shape: &Shape,
        evolution: &Evolution,
        is_exact: bool,
    ) -> Result<(), BindError> {
        if self.rules.new_column_policy() == NewColumnPolicy::StopTable && evolution.adds() {
            return self.give_up(&shape.name, "it has new columns (new_column: stop_table)");
        }
        let is_enough = is_exact
            && self
                .runtime
                .block_on(evolution.keeps_rows(&self.rules, &self.source))
                .map_err(BindError::Source)?;
        if !is_enough {
            return self.copy_again(&shape.name, &evolution.describe());
        }
        let rules = self.rules.knowing([(evolution.root.clone(), evolution.known.clone())])?;
        let hash = |(table, plan): (&Table, &TablePlan)| {
            hash_statement(&table.name, &plan.rules_hash(table, |_| true))
        };
        let notes = rules.parts(&evolution.root).map(hash).collect();
        match self.runtime.block_on(evolution.run(&self.target_info, notes)) {
            Ok(()) => {
                tracing::info!(change = evolution.describe(), "the schema is followed");
                self.status.note(evolution.describe());
                self.rules = Arc::new(rules);
                Ok(())
            }
            Err(ExecuteError::Connect(source) | ExecuteError::Lost { source, .. }) => {
                Err(BindError::Target(source))
            }
            // Left out, as any column that the target does not have.
            Err(error) if evolution.only_adds() => {
                tracing::warn!(%error, table = %evolution.root, "columns cannot be added");
                Ok(())
            }
            Err(error) => self.give_up(&shape.name, &evolution.refused(&error)),
        }
    }

    /// Reads the source's catalog again. A table whose columns would be masked by other rules than
    /// they were copied by is copied again.
    fn reload(&mut self, shape: &Shape) -> Result<(), BindError> {
        let fresh =
            self.runtime.block_on(self.rules.reload(&self.source, self.rules.known.clone()))?;
        let changed = self.rules.find(&shape.name).zip(fresh.find(&shape.name)).and_then(
            |((old_table, old), (table, new))| {
                let mut columns = old_table.columns.iter().zip(&old.columns);
                columns.find_map(|(column, old)| {
                    let now = table.columns.iter().position(|now| now.number == column.number)?;
                    let differs = new.columns.get(now).is_some_and(|new| new.rule != old.rule);
                    differs.then(|| column.name.clone())
                })
            },
        );
        self.rules = Arc::new(fresh);
        if let Some(column) = changed {
            let reason = format!("the rule of its column {column} changed with the schema");
            self.copy_again(&shape.name, &reason)?;
        }
        Ok(())
    }

    fn fit(&mut self, shape: &Shape, id: TableId) -> Result<Result<Followed, Unfit>, BindError> {
        let Some(target) = self.target_of(id)? else {
            return Ok(Err(Unfit("the target does not have it".into())));
        };
        let (catalog, key) = (&self.rules.catalog, &self.key);
        let table = catalog.table(id);
        let Some(plan) = self.rules.plan.table(id) else {
            return Ok(Err(Unfit("it has no plan".into())));
        };
        if let Some(unfit) = difference(shape, table, &target) {
            return Ok(Err(unfit));
        }
        let is_binary = |name: &str| table.column(name).is_none_or(|(_, one)| one.has_binary);
        if self.is_binary && !shape.columns.iter().all(|column| is_binary(&column.name)) {
            return Err(BindError::NeedsText);
        }
        let identity = sent_identity(shape);
        if let SentIdentity::Key(positions) = &identity {
            let names = positions.iter().filter_map(|at| shape.columns.get(*at));
            let names = names.map(|column| column.name.as_str()).collect::<Vec<_>>();
            check_identity(table, plan, &names)?;
        }
        let names = shape.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>();
        let rules = rules_of(&self.rules, table, plan, &target);
        let bound = target.bind(&shape.name, rules, &names, &identity);
        let mask = mask(shape, table, plan, &bound.columns, key).map_err(BindError::Config)?;
        let leaf_count = leaf_count(&self.rules, &shape.name, &bound.target);
        self.note_unwritten(shape, &bound.columns);
        let stage = TupleStage::new(Arc::new(mask));
        Ok(Ok(Followed { table: Arc::new(bound), stage, leaf_count }))
    }

    /// The table that the rows are written to: the relation's own, or the nearest root that
    /// routes them, also for a partition that the target does not have.
    fn target_of(&mut self, id: TableId) -> Result<Option<TargetTable>, BindError> {
        let catalog = &self.rules.catalog;
        let Some(plan) = self.rules.plan.table(id) else { return Ok(None) };
        let mut name = routed_target(plan, catalog.table(id), catalog);
        loop {
            if let Some(found) = load_target(&mut self.target, &name).map_err(BindError::Target)? {
                return Ok(Some(found));
            }
            let partitioning = catalog.find(&name).map(|id| &catalog.table(id).partitioning);
            let parent = partitioning
                .filter(|partitioning| partitioning.is_partition)
                .and_then(|partitioning| partitioning.parents.first());
            let Some(parent) = parent else { return Ok(None) };
            name = parent.clone();
        }
    }

    fn note_unwritten(&self, shape: &Shape, bound: &[BoundColumn]) {
        let missing = bound.iter().filter(|column| !column.is_written);
        let missing = missing.map(|column| column.name.as_str()).collect::<Vec<_>>();
        if missing.is_empty() {
            return;
        }
        let columns = missing.join(", ");
        tracing::warn!(table = %shape.name, columns, "columns are not written");
        self.status.note(format!(
            "{}: the target does not have {columns}: not written; add the column there and \
             `backlot clone resync {}` brings its values",
            shape.name, shape.name
        ));
    }
}
