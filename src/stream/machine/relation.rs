//! Relations of the session and what they are bound to.

use super::streamed::BufferId;
use super::{Machine, MachineError};
use crate::catalog::RelationName;
use crate::pg::Oid;
use crate::pg::pgoutput::{Relation, ReplicaIdentity, StreamedXid};
use crate::sink::apply::BoundTable;
use crate::transform::TupleStage;
use std::collections::HashMap;
use std::sync::Arc;

/// A Relation message, kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::stream) struct Shape {
    pub(in crate::stream) oid: Oid,
    pub(in crate::stream) name: RelationName,
    pub(in crate::stream) replica_identity: ReplicaIdentity,
    pub(in crate::stream) columns: Vec<ShapeColumn>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::stream) struct ShapeColumn {
    pub(in crate::stream) name: String,
    /// Part of the replica identity.
    pub(in crate::stream) is_key: bool,
    pub(in crate::stream) type_oid: Oid,
    pub(in crate::stream) type_modifier: i32,
}

impl Shape {
    pub(in crate::stream) fn of(relation: &Relation<'_>) -> Self {
        let schema = if relation.schema.is_empty() { "pg_catalog" } else { relation.schema };
        let columns = relation.columns().map(|column| ShapeColumn {
            name: column.name.to_owned(),
            is_key: column.is_key,
            type_oid: column.type_oid,
            type_modifier: column.type_modifier,
        });
        Self {
            oid: relation.oid,
            name: RelationName::new(schema, relation.name),
            replica_identity: relation.replica_identity,
            columns: columns.collect(),
        }
    }
}

/// What becomes of a relation's changes.
pub(in crate::stream) enum Binding {
    Followed(Box<Followed>),
    /// They are dropped: the table is not cloned, or not followed.
    Dropped,
}

pub(in crate::stream) struct Followed {
    pub(in crate::stream) table: Arc<BoundTable>,
    pub(in crate::stream) stage: TupleStage,
    /// Relations of the source whose rows the target table takes.
    pub(in crate::stream) leaf_count: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::stream) enum Route {
    Apply,
    /// The table is stale, or being copied again and not yet spooled.
    Skip,
    /// The table is being copied again: its changes are kept until the copy is done.
    Spool(BufferId),
}

pub(super) struct Slot {
    pub(super) shape: Shape,
    pub(super) followed: Option<Box<Followed>>,
    pub(super) route: Route,
    /// No rows come of it: it is not taken up again.
    is_past: bool,
    /// Position of the table in the changes with this serial number.
    pub(super) position: (u64, u32),
}

#[derive(Default)]
pub(super) struct Relations {
    slots: Vec<Slot>,
    /// A streamed transaction is sent the shapes that it sees itself; they are everybody's once
    /// it commits (pgoutput.c `cleanup_rel_sync_cache`).
    current: HashMap<(StreamedXid, Oid), usize>,
    /// The last one that was looked up.
    last: Option<((StreamedXid, Oid), usize)>,
}

impl Relations {
    pub(super) fn get(&mut self, block: StreamedXid, oid: Oid) -> Result<&mut Slot, MachineError> {
        let wanted = (block, oid);
        let at = match self.last {
            Some((last, at)) if last == wanted => at,
            _ => {
                let known = self.current.get(&wanted).or_else(|| self.current.get(&(None, oid)));
                *known.ok_or(MachineError::Protocol("a change of an unknown relation"))?
            }
        };
        self.last = Some((wanted, at));
        self.slots.get_mut(at).ok_or(MachineError::Protocol("a change of an unknown relation"))
    }

    fn set(&mut self, block: StreamedXid, oid: Oid, at: usize) {
        self.current.insert((block, oid), at);
        self.last = None;
    }

    /// The transaction's shapes become everybody's, or are forgotten.
    pub(super) fn end_of(&mut self, xid: u32, is_commit: bool) {
        let mut ended = Vec::new();
        self.current.retain(|(block, oid), at| {
            let is_ended = *block == Some(xid);
            if is_ended {
                ended.push((*oid, *at));
            }
            !is_ended
        });
        if is_commit {
            self.current.extend(ended.into_iter().map(|(oid, at)| ((None, oid), at)));
        }
        self.last = None;
    }

    pub(super) fn set_route(&mut self, target: &RelationName, route: Route) {
        for slot in &mut self.slots {
            if slot.followed.as_ref().is_some_and(|followed| followed.table.target == *target) {
                slot.route = route;
            }
        }
    }

    /// Where the changes of a relation go. By name: it may have been bound anew since. Not by the
    /// target: of the partitions that share one, some may be stale.
    pub(super) fn route(&self, table: &BoundTable) -> Route {
        self.route_of(&table.source)
    }

    pub(super) fn route_of(&self, relation: &RelationName) -> Route {
        let is_relation = |slot: &&Slot| slot.shape.name == *relation;
        self.slots.iter().rev().find(is_relation).map_or(Route::Skip, |slot| slot.route)
    }
}

impl Machine {
    /// True if the relation is bound in this shape already; it is taken up again then. Whether its
    /// columns are still those that they were is for the caller to know.
    pub(in crate::stream) fn recognise(&mut self, shape: &Shape) -> bool {
        let block = self.block;
        let relations = &mut self.relations;
        let known = relations.slots.iter().rposition(|slot| !slot.is_past && slot.shape == *shape);
        if let Some(at) = known {
            relations.set(block, shape.oid, at);
        }
        known.is_some()
    }

    /// Binds a relation; its changes go where `route` says, whatever shape they were sent in.
    pub(in crate::stream) fn bind(&mut self, shape: Shape, binding: Binding, route: Route) {
        let (block, oid) = (self.block, shape.oid);
        let followed = match binding {
            Binding::Followed(followed) => Some(followed),
            Binding::Dropped => None,
        };
        for slot in self.relations.slots.iter_mut().filter(|slot| slot.shape.name == shape.name) {
            slot.route = route;
        }
        self.relations.slots.push(Slot {
            shape,
            followed,
            route,
            is_past: false,
            position: (0, 0),
        });
        self.relations.set(block, oid, self.relations.slots.len() - 1);
    }

    /// Sends the changes of all relations that are written to `target` elsewhere.
    pub(in crate::stream) fn set_route(&mut self, target: &RelationName, route: Route) {
        self.relations.set_route(target, route);
    }

    /// Drops from here on the changes of these relations that were applied.
    pub(in crate::stream) fn skip(&mut self, is_meant: impl Fn(&RelationName) -> bool) {
        for slot in &mut self.relations.slots {
            if slot.route == Route::Apply && is_meant(&slot.shape.name) {
                slot.route = Route::Skip;
            }
        }
    }

    /// Binds anew the relations of these names that the session knows. Shapes of before and those
    /// that do not fit any more (None) are forgotten: rows of them are announced anew, or they end
    /// the session.
    pub(in crate::stream) fn rebind<E>(
        &mut self,
        is_meant: impl Fn(&RelationName) -> bool,
        mut bind: impl FnMut(&Shape) -> Result<Option<(Binding, Route)>, E>,
    ) -> Result<(), E> {
        let Relations { slots, current, last } = &mut self.relations;
        let slots = slots.iter_mut().enumerate().filter(|(_, slot)| is_meant(&slot.shape.name));
        for (at, slot) in slots {
            let is_current = current.values().any(|one| *one == at);
            let bound = if is_current { bind(&slot.shape)? } else { None };
            let Some((binding, route)) = bound else {
                slot.is_past = true;
                current.retain(|_, one| *one != at);
                continue;
            };
            slot.followed = match binding {
                Binding::Followed(followed) => Some(followed),
                Binding::Dropped => None,
            };
            slot.route = route;
            slot.position = (0, 0);
        }
        *last = None;
        Ok(())
    }

    /// Values that rules have changed, per relation and mask.
    pub(in crate::stream) fn changed(&self) -> impl Iterator<Item = (&RelationName, &[u64])> {
        let slots = self.relations.slots.iter();
        slots.filter_map(|slot| Some((&slot.shape.name, slot.followed.as_ref()?.stage.changed())))
    }
}
