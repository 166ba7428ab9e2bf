//! Equivalence classes: columns that hold the same values and so take one rule.

use crate::catalog::{Catalog, ColumnRef, RelationName, TableId};

/// Why two columns are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Bond {
    /// Partition or inheritance.
    Parent,
    ForeignKey,
    Reference,
}

/// `to` is the referenced column, the parent's column, or the `to` of a reference.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub(super) from: ColumnRef,
    pub(super) to: ColumnRef,
    pub(super) bond: Bond,
}

/// One class; a column without bonds is a class of its own.
#[derive(Clone, Debug)]
pub(super) struct Class {
    /// The members, those that others point at first, then by table and column.
    pub(super) members: Vec<ColumnRef>,
}

#[derive(Debug)]
pub(super) struct Classes {
    pub(super) classes: Vec<Class>,
    pub(super) edges: Vec<Edge>,
}

/// The bonds that the catalog itself tells of.
pub(super) fn catalog_edges(catalog: &Catalog) -> Vec<Edge> {
    let mut edges = Vec::new();
    for key in &catalog.foreign_keys {
        let (Some(from), Some(to)) = (catalog.find(&key.from), catalog.find(&key.to)) else {
            continue;
        };
        for (left, right) in key.from_columns.iter().zip(&key.to_columns) {
            edges.extend(edge(catalog, (from, left), (to, right), Bond::ForeignKey));
        }
    }
    for (id, table) in catalog.iter() {
        for parent in table.partitioning.parents.iter().filter_map(|name| catalog.find(name)) {
            for column in &table.columns {
                let (from, to) = ((id, &*column.name), (parent, &*column.name));
                edges.extend(edge(catalog, from, to, Bond::Parent));
            }
        }
    }
    edges
}

/// The bond between two columns by name; `None` if one does not exist or is generated.
fn edge(catalog: &Catalog, from: (TableId, &str), to: (TableId, &str), bond: Bond) -> Option<Edge> {
    let find = |(table, name): (TableId, &str)| {
        let (column, found) = catalog.table(table).column(name)?;
        found.is_copied().then_some(ColumnRef { table, column })
    };
    Some(Edge { from: find(from)?, to: find(to)?, bond })
}

/// Joins what the edges join.
pub(super) fn join(catalog: &Catalog, edges: Vec<Edge>) -> Classes {
    let mut starts = Vec::with_capacity(catalog.tables.len());
    let mut columns = Vec::new();
    for (table, found) in catalog.iter() {
        starts.push(columns.len());
        columns.extend((0..found.columns.len()).map(|column| ColumnRef { table, column }));
    }
    let index = |at: ColumnRef| starts.get(at.table.0).map_or(0, |start| start + at.column);
    let mut sets = Sets::new(columns.len());
    let mut pointed_at = vec![0_usize; columns.len()];
    for edge in &edges {
        sets.join(index(edge.from), index(edge.to));
        if let Some(count) = pointed_at.get_mut(index(edge.to)) {
            *count += 1;
        }
    }
    // A key that itself points on (a chain of keys) is less of a root than one that does not.
    let mut points_on = vec![false; columns.len()];
    for edge in edges.iter().filter(|edge| edge.from != edge.to) {
        if let Some(flag) = points_on.get_mut(index(edge.from)) {
            *flag = true;
        }
    }
    let mut by_root = std::collections::BTreeMap::<usize, Vec<ColumnRef>>::new();
    for (at, column) in columns.iter().enumerate() {
        by_root.entry(sets.root(at)).or_default().push(*column);
    }
    let rank = |member: &ColumnRef| {
        let at = index(*member);
        let count = pointed_at.get(at).copied().unwrap_or(0);
        (points_on.get(at).copied().unwrap_or(false), std::cmp::Reverse(count), *member)
    };
    let classes = by_root
        .into_values()
        .map(|mut members| {
            members.sort_by_key(rank);
            Class { members }
        })
        .collect();
    Classes { classes, edges }
}

/// Union-find with path halving.
struct Sets {
    parents: Vec<usize>,
}

impl Sets {
    fn new(len: usize) -> Self {
        Self { parents: (0..len).collect() }
    }

    fn parent(&self, at: usize) -> usize {
        self.parents.get(at).copied().unwrap_or(at)
    }

    fn root(&mut self, mut at: usize) -> usize {
        // Bounded: every turn moves up a tree without cycles.
        while self.parent(at) != at {
            let above = self.parent(self.parent(at));
            if let Some(slot) = self.parents.get_mut(at) {
                *slot = above;
            }
            at = above;
        }
        at
    }

    /// The lower index becomes the root, so that classes are ordered like columns.
    fn join(&mut self, left: usize, right: usize) {
        let (left, right) = (self.root(left), self.root(right));
        if let Some(slot) = self.parents.get_mut(left.max(right)) {
            *slot = left.min(right);
        }
    }
}

impl Classes {
    /// How `member` hangs on `source`: by the strongest bond that touches it.
    pub(super) fn bond(&self, member: ColumnRef, source: ColumnRef) -> Option<Bond> {
        let direct = self
            .edges
            .iter()
            .filter(|edge| {
                (edge.from, edge.to) == (member, source) || (edge.from, edge.to) == (source, member)
            })
            .map(|edge| edge.bond)
            .min();
        let any = || {
            self.edges
                .iter()
                .filter(|edge| edge.from == member || edge.to == member)
                .map(|edge| edge.bond)
                .min()
        };
        direct.or_else(any)
    }
}

/// `schema.table.column`, for people.
pub(super) fn column_name(catalog: &Catalog, at: ColumnRef) -> String {
    let table = catalog.table(at.table);
    let column = table.columns.get(at.column).map_or("?", |column| &column.name);
    format!("{}.{column}", table.name)
}

/// Finds a table and one of its columns by name.
pub(super) fn find_column(
    catalog: &Catalog,
    table: &RelationName,
    column: &str,
) -> Option<ColumnRef> {
    let table = catalog.find(table)?;
    let (column, _) = catalog.table(table).column(column)?;
    Some(ColumnRef { table, column })
}
