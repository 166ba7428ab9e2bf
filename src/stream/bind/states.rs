//! What the tables of a session are: followed, kept for a copy, or given up.

use super::{BindError, Binder};
use crate::catalog::RelationName;
use crate::stream::machine::{BufferId, Route};
use crate::stream::note::{hash_statement, resync_statement, state_statement};
use crate::stream::order::Unit;
use crate::stream::status::TableState;
use crate::table_sync::routed_target;
use std::sync::Arc;

impl Binder {
    /// Gives the table up, with all partitions that are changed as it is, and asks for a copy,
    /// unless it was given up before.
    pub(super) fn copy_again(
        &mut self,
        relation: &RelationName,
        reason: &str,
    ) -> Result<(), BindError> {
        let is_followed = matches!(self.route(relation), Route::Apply);
        if !is_followed {
            return self.give_up(relation, reason);
        }
        let rules = Arc::clone(&self.rules);
        let root = rules.root(relation).map_or(relation, |root| &root.name);
        let parts = rules.parts(root).map(|(table, _)| &table.name).collect::<Vec<_>>();
        for part in &parts {
            self.give_up(part, reason)?;
        }
        self.target.simple(&resync_statement(&parts)).map(drop).map_err(BindError::Target)
    }

    /// From here on the changes of these tables are kept in this buffer.
    pub(in crate::stream) fn start_spool(&mut self, unit: &Unit, buffer: BufferId) {
        self.spools.insert(unit.target.clone(), (buffer, None));
    }

    /// Why what was kept is not all, if so.
    pub(in crate::stream) fn unfit(&self, unit: &Unit) -> Option<String> {
        self.spools.get(&unit.target).and_then(|(_, unfit)| unfit.clone())
    }

    pub(in crate::stream) fn end_spool(&mut self, unit: &Unit) {
        self.spools.remove(&unit.target);
    }

    pub(in crate::stream) fn set_states(&mut self, unit: &Unit, state: TableState) {
        for source in &unit.sources {
            self.set_state(source, state, None);
        }
    }

    pub(in crate::stream) fn write_states(
        &mut self,
        unit: &Unit,
        state: TableState,
        reason: Option<&str>,
    ) -> Result<(), BindError> {
        unit.sources.iter().try_for_each(|source| self.write_state(source, state, reason))
    }

    pub(in crate::stream) fn set_state(
        &mut self,
        relation: &RelationName,
        state: TableState,
        reason: Option<&str>,
    ) {
        self.states.insert(relation.clone(), state);
        self.status.with_table(relation, |table| {
            table.state = state;
            table.reason = reason.map(str::to_owned);
        });
    }

    /// Writes the state of a table down, before anything that depends on it is committed.
    pub(in crate::stream) fn write_state(
        &mut self,
        relation: &RelationName,
        state: TableState,
        reason: Option<&str>,
    ) -> Result<(), BindError> {
        let hash = self.rules.find(relation).map(|(table, plan)| plan.rules_hash(table, |_| true));
        let sql = state_statement(relation, state, reason, &hash.unwrap_or_default());
        self.target.simple(&sql).map_err(BindError::Target)?;
        self.set_state(relation, state, reason);
        Ok(())
    }

    /// Writes down what tables are masked by that came since the stream began.
    pub(super) fn write_down(&mut self, rules: &[(RelationName, String)]) -> Result<(), BindError> {
        for (relation, hash) in rules {
            // A partition that the target is still to be given is not followed yet.
            if !self.states.contains_key(relation) && !self.is_missing_partition(relation)? {
                // One that was made while the stream ran has a state already.
                let sql = format!("{} returning state, reason", hash_statement(relation, hash));
                let rows = self.target.simple(&sql).map_err(BindError::Target)?;
                let mut row = rows.into_iter().flatten();
                let state = row
                    .next()
                    .flatten()
                    .map_or(TableState::Stale, |state| TableState::parse(&state));
                self.set_state(relation, state, row.next().flatten().as_deref());
            }
        }
        Ok(())
    }

    pub(in crate::stream) fn give_up(
        &mut self,
        relation: &RelationName,
        reason: &str,
    ) -> Result<(), BindError> {
        if let Some(parts) = self.rules.parts_below(relation) {
            if let Some((_, unfit)) = self.spools.get_mut(relation) {
                unfit.get_or_insert(reason.to_owned());
                return Ok(());
            }
            return parts.iter().try_for_each(|part| self.give_up(part, reason));
        }
        if self.states.get(relation) == Some(&TableState::Resyncing) {
            let target = self.target_name(relation);
            if let Some((_, unfit)) = target.and_then(|target| self.spools.get_mut(&target)) {
                unfit.get_or_insert(reason.to_owned());
            }
            // Before it is spooled, what ends the copying decides again.
            return Ok(());
        }
        if self.states.get(relation) != Some(&TableState::Stale) {
            tracing::warn!(table = %relation, reason, "table is stale");
            let remedy = if self.rules.catalog.find(relation).is_some() {
                format!("`backlot clone resync {relation}` copies it again")
            } else {
                "its rows stay on the target until it is dropped there, too".to_owned()
            };
            self.status.note(format!("{relation} is not followed any more: {reason}; {remedy}"));
        }
        self.write_state(relation, TableState::Stale, Some(reason))
    }

    /// Gives up all tables whose rows are written to this one.
    pub(in crate::stream) fn give_up_target(
        &mut self,
        target: &RelationName,
        reason: &str,
    ) -> Result<(), BindError> {
        let rules = Arc::clone(&self.rules);
        let mut tables = rules.followed().map(|(table, _)| &table.name);
        tables.try_for_each(|name| {
            let is_written = self.target_name(name).is_some_and(|one| one == *target);
            if is_written { self.give_up(name, reason) } else { Ok(()) }
        })
    }

    pub(super) fn is_spooled(&self, relation: &RelationName) -> bool {
        let target = self.target_name(relation);
        [Some(relation), target.as_ref()]
            .into_iter()
            .flatten()
            .any(|one| self.spools.contains_key(one))
    }

    fn target_name(&self, source: &RelationName) -> Option<RelationName> {
        let id = self.rules.catalog.find(source)?;
        let (catalog, plan) = (&self.rules.catalog, self.rules.plan.table(id)?);
        Some(routed_target(plan, catalog.table(id), catalog))
    }

    pub(in crate::stream) fn is_skipped(&self, relation: &RelationName) -> bool {
        self.route(relation) == Route::Skip
    }

    pub(super) fn route(&self, relation: &RelationName) -> Route {
        let is_held = |name: &RelationName| {
            matches!(self.states.get(name), Some(TableState::Stale | TableState::Resyncing))
        };
        // Partitions that are sent as one table have their states each.
        let parts = self.rules.parts_below(relation).filter(|parts| !parts.is_empty());
        let is_skipped = parts.map_or_else(|| is_held(relation), |parts| parts.iter().all(is_held));
        if is_skipped { Route::Skip } else { Route::Apply }
    }
}
