//! Binding: spec + catalog + decisions → plan.

use super::classes::{self, Bond, Class, Classes, Edge, column_name};
use super::decision::Decisions;
use super::fit::Target;
use super::model::{ColumnPlan, DefaultOrigin, Origin, Plan, TableAction, TablePlan};
use super::select::{self, is_copied, suggest_column, suggest_table};
use crate::catalog::{Catalog, ColumnRef, RelationKind, TableId};
use crate::transform::spec::{ColumnSpec, Diagnostic, Place, ReferenceEnd, Spec, TableSpec};
use crate::transform::{Rule, Transform};
use std::collections::BTreeMap;

/// Binds a file to a catalog.
///
/// # Errors
/// Every contradiction between the file, the catalog and the decisions, ordered by place.
pub fn bind(
    spec: &Spec,
    catalog: &Catalog,
    decisions: &Decisions,
) -> Result<Plan, Vec<Diagnostic>> {
    let mut found = Vec::new();
    let actions = select::actions(spec, catalog, &mut found);
    let mut edges = classes::catalog_edges(catalog);
    let references = references(spec, catalog, &mut found);
    edges.extend(references.iter().copied());
    let mut binder = Binder {
        spec,
        catalog,
        decisions,
        actions,
        classes: classes::join(catalog, edges),
        explicit: BTreeMap::new(),
        found,
        warnings: Vec::new(),
    };
    binder.read_rules();
    let bound = binder.bind_classes();
    let tables = binder.tables(&bound);
    binder.warn_of_gaps();
    let Binder { mut found, warnings, .. } = binder;
    if found.is_empty() {
        let references = references.iter().map(|edge| (edge.from, edge.to)).collect();
        let (profile, defaults) = (spec.profile, spec.defaults);
        let patterns = [&spec.include, &spec.exclude, &spec.schema_only]
            .map(|patterns| patterns.iter().map(|one| one.value.clone()).collect());
        return Ok(Plan { tables, profile, defaults, patterns, references, warnings });
    }
    found.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
    Err(found)
}

/// What a column gets.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    pub(super) rule: Rule,
    pub(super) origin: Origin,
}

/// A rule that the file gives to a column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Explicit<'a> {
    pub(super) rule: &'a ColumnSpec,
}

pub(super) struct Binder<'a> {
    pub(super) spec: &'a Spec,
    pub(super) catalog: &'a Catalog,
    pub(super) decisions: &'a Decisions,
    actions: Vec<TableAction>,
    pub(super) classes: Classes,
    pub(super) explicit: BTreeMap<ColumnRef, Explicit<'a>>,
    pub(super) found: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
}

fn references(spec: &Spec, catalog: &Catalog, found: &mut Vec<Diagnostic>) -> Vec<Edge> {
    let mut edges = Vec::new();
    for reference in &spec.references {
        let mut end = |end: &ReferenceEnd| {
            let at = classes::find_column(catalog, &end.table, &end.column);
            let generated = at.is_some_and(|at| {
                catalog.table(at.table).columns.get(at.column).is_some_and(|one| !one.is_copied())
            });
            if at.is_none() {
                found.push(unknown_column(spec, catalog, end));
            } else if generated {
                let name = format!("{}.{}", end.table, end.column);
                let message = format!("`{name}` is generated: the target computes it");
                let hint = "refer to the columns it is computed from";
                found.push(Diagnostic::error(&spec.file, end.place, message).with_hint(hint));
            }
            at.filter(|_| !generated)
        };
        let (from, to) = (end(&reference.from), end(&reference.to));
        if let (Some(from), Some(to)) = (from, to) {
            edges.push(Edge { from, to, bond: Bond::Reference });
        }
    }
    edges
}

fn unknown_column(spec: &Spec, catalog: &Catalog, end: &ReferenceEnd) -> Diagnostic {
    let (message, hint) = match catalog.find(&end.table) {
        None => (
            format!("`references`: there is no table `{}`", end.table),
            suggest_table(&end.table.to_string(), catalog),
        ),
        Some(id) => (
            format!("`references`: there is no column `{}` in `{}`", end.column, end.table),
            suggest_column(&end.column, catalog.table(id)),
        ),
    };
    Diagnostic::error(&spec.file, end.place, message).with_hint_if(hint)
}

impl<'a> Binder<'a> {
    /// True if rows of the column's table are copied.
    pub(super) fn travels(&self, at: ColumnRef) -> bool {
        is_copied(&self.actions, at.table)
    }

    pub(super) fn warn(&mut self, message: String, hint: &str) {
        let warning = Diagnostic::warning(&self.spec.file, Place::default(), message);
        self.warnings.push(warning.with_hint(hint));
    }

    /// Looks up what the file names.
    fn read_rules(&mut self) {
        let (spec, catalog) = (self.spec, self.catalog);
        for table in &spec.tables {
            let Some(id) = catalog.find(&table.name) else {
                let message = format!("there is no table `{}`", table.name);
                let hint = suggest_table(&table.name.to_string(), catalog);
                let diagnostic = Diagnostic::error(&spec.file, table.place, message);
                self.found.push(diagnostic.with_hint_if(hint));
                continue;
            };
            self.read_table(table, id);
        }
    }

    fn read_table(&mut self, spec: &'a TableSpec, id: TableId) {
        let table = self.catalog.table(id);
        if !is_copied(&self.actions, id) {
            let message = format!("`{}` has rules but is not copied", spec.name);
            let warning = Diagnostic::warning(&self.spec.file, spec.place, message)
                .with_hint("its rules reach other tables by foreign keys only");
            self.warnings.push(warning);
        }
        for rule in &spec.columns {
            let Some((column, found)) = table.column(&rule.name) else {
                let message = format!("there is no column `{}` in `{}`", rule.name, spec.name);
                let diagnostic = Diagnostic::error(&self.spec.file, rule.place, message);
                self.found.push(diagnostic.with_hint_if(suggest_column(&rule.name, table)));
                continue;
            };
            if !found.is_copied() {
                let message = format!(
                    "`{}.{}` is a generated column: it is computed by the target",
                    spec.name, rule.name
                );
                let diagnostic = Diagnostic::error(&self.spec.file, rule.place, message)
                    .with_hint("give the rule to the columns it is computed from");
                self.found.push(diagnostic);
                continue;
            }
            self.explicit.insert(ColumnRef { table: id, column }, Explicit { rule });
        }
    }

    fn bind_classes(&mut self) -> BTreeMap<ColumnRef, Bound> {
        let classes = std::mem::take(&mut self.classes.classes);
        let mut bound = BTreeMap::new();
        for class in &classes {
            if self.is_generated(class) {
                continue;
            }
            bound.extend(self.resolve(class));
        }
        self.classes.classes = classes;
        bound
    }

    /// Generated columns have no bonds, so each is a class of its own.
    fn is_generated(&self, class: &Class) -> bool {
        class.members.iter().any(|member| {
            let table = self.catalog.table(member.table);
            table.columns.get(member.column).is_some_and(|column| !column.is_copied())
        })
    }

    fn tables(&mut self, bound: &BTreeMap<ColumnRef, Bound>) -> Vec<TablePlan> {
        let keyed = self.value_keyed();
        let narrowest = self.narrowest();
        let catalog = self.catalog;
        let mut plans = Vec::with_capacity(catalog.tables.len());
        for (id, table) in catalog.iter() {
            let mut columns = Vec::with_capacity(table.columns.len());
            for (position, column) in table.columns.iter().enumerate() {
                let at = ColumnRef { table: id, column: position };
                let got = bound.get(&at).cloned().unwrap_or_else(|| Bound {
                    rule: Rule::plain(Transform::Keep),
                    origin: Origin::Default(DefaultOrigin::Generated),
                });
                let by_value = keyed.contains(&at);
                let subject = self.subject(at, &got, by_value);
                let mut shape = Target::new(table, column).shape();
                shape.max_chars = narrowest.get(&at).copied().or(shape.max_chars);
                // Proven by `check_shifted_key`: such a shift keeps keys apart by its subject.
                shape.unique &= !matches!(got.rule.transform, Transform::DateShift { .. });
                columns.push(ColumnPlan { rule: got.rule, shape, origin: got.origin, subject });
            }
            let action = self.actions.get(id.0).copied().unwrap_or(TableAction::Copy);
            let (name, filter) = (table.name.clone(), self.filter(id));
            plans.push(TablePlan { table: id, name, action, filter, columns });
        }
        plans
    }

    /// Fakes are cut to the room that a column has, so columns of one class must be cut alike.
    fn narrowest(&self) -> BTreeMap<ColumnRef, u32> {
        let mut narrowest = BTreeMap::new();
        for class in &self.classes.classes {
            let room =
                |at: &ColumnRef| self.catalog.table(at.table).columns.get(at.column)?.max_chars;
            if let Some(least) = class.members.iter().filter_map(room).min() {
                narrowest.extend(class.members.iter().map(|member| (*member, least)));
            }
        }
        narrowest
    }

    /// The `where` of the table; a partition without one takes its root's.
    fn filter(&self, id: TableId) -> Option<String> {
        let find = |id: TableId| {
            let name = &self.catalog.table(id).name;
            let spec = self.spec.tables.iter().find(|table| table.name == *name)?;
            spec.filter.as_ref().map(|filter| filter.value.clone())
        };
        find(id).or_else(|| find(self.catalog.partition_root(id)))
    }

    /// Columns joined by a foreign key or a reference: their fakes may depend on the value only.
    fn value_keyed(&self) -> std::collections::BTreeSet<ColumnRef> {
        let edges = self.classes.edges.iter().filter(|edge| edge.bond != Bond::Parent);
        let roots: Vec<ColumnRef> = edges.flat_map(|edge| [edge.from, edge.to]).collect();
        let mut keyed: std::collections::BTreeSet<ColumnRef> = roots.iter().copied().collect();
        for class in self.classes.classes.iter().filter(|class| class.members.len() > 1) {
            if class.members.iter().any(|member| keyed.contains(member)) {
                keyed.extend(class.members.iter().copied());
            }
        }
        keyed
    }

    /// The columns that key a `date_shift`. Reports a subject that does not exist, and a shift on
    /// a key that could map two keys to one.
    fn subject(&mut self, at: ColumnRef, got: &Bound, by_value: bool) -> Vec<usize> {
        let Transform::DateShift { subject, .. } = &got.rule.transform else { return Vec::new() };
        let table = self.catalog.table(at.table);
        let root = self.catalog.table(self.catalog.partition_root(at.table));
        let position = |name: &String| table.column(name).map(|(position, _)| position);
        let subject = match subject {
            _ if by_value => Vec::new(),
            Some(name) => {
                let found = position(name);
                if found.is_none() {
                    self.unknown_subject(at, name);
                }
                found.into_iter().collect()
            }
            None => {
                let key = if table.primary_key.is_empty() { root } else { table };
                let others = key.primary_key.iter().filter_map(position);
                others.filter(|position| *position != at.column).collect()
            }
        };
        self.check_shifted_key(at, got, &subject);
        subject
    }

    fn unknown_subject(&mut self, at: ColumnRef, name: &str) {
        let table = self.catalog.table(at.table);
        let column = column_name(self.catalog, at);
        let message = format!("`{column}`: there is no column `{name}` for `subject`");
        let diagnostic = Diagnostic::error(&self.spec.file, self.place_of(at), message);
        self.found.push(diagnostic.with_hint_if(suggest_column(name, table)));
    }

    /// A shift that is the same for all rows with equal other key columns keeps keys apart, and
    /// can be repeated from an old key; any other shift on a key cannot.
    fn check_shifted_key(&mut self, at: ColumnRef, got: &Bound, subject: &[usize]) {
        let table = self.catalog.table(at.table);
        let Some(column) = table.columns.get(at.column) else { return };
        if !self.travels(at) || !Target::new(table, column).unique {
            return;
        }
        let names: Vec<&String> = subject
            .iter()
            .filter_map(|position| table.columns.get(*position).map(|column| &column.name))
            .collect();
        let unique = table.indexes.iter().filter(|index| index.is_unique);
        let keys = unique.map(|index| &index.key_columns).chain([&table.primary_key]);
        let safe = |key: &Vec<String>| {
            !key.contains(&column.name)
                || (!names.is_empty() && names.iter().all(|name| key.contains(name)))
        };
        let mut keys = keys;
        if keys.all(safe) {
            return;
        }
        let name = column_name(self.catalog, at);
        let message = format!("`{name}`: `{}` on a unique column", got.rule.transform.name());
        let hint = "two keys could become one: keep it, or name another column of the same key \
                    as `subject`";
        let diagnostic = Diagnostic::error(&self.spec.file, self.place_of(at), message);
        self.found.push(diagnostic.with_hint(hint));
    }

    fn place_of(&self, at: ColumnRef) -> Place {
        self.explicit.get(&at).map_or(Place::default(), |explicit| explicit.rule.rule_place)
    }

    /// Copied tables that refer to tables without rows.
    fn warn_of_gaps(&mut self) {
        for key in &self.catalog.foreign_keys {
            let (Some(from), Some(to)) = (self.catalog.find(&key.from), self.catalog.find(&key.to))
            else {
                continue;
            };
            if is_copied(&self.actions, from) && !is_copied(&self.actions, to) {
                let message = format!(
                    "`{}` refers to `{}`, whose rows are not copied: constraint `{}` cannot hold",
                    key.from, key.to, key.name
                );
                self.warn(message, "copy both, or exclude the referring table too");
            }
        }
        for table in &self.spec.tables {
            let Some(id) = self.catalog.find(&table.name) else { continue };
            let partitioned = self.catalog.table(id).kind == RelationKind::Partitioned;
            if partitioned && table.filter.is_some() && self.filter_differs(id) {
                let message = format!("partitions of `{}` have a `where` of their own", table.name);
                self.warn(message, "a partition's own `where` replaces the root's");
            }
        }
    }

    fn filter_differs(&self, root: TableId) -> bool {
        self.spec.tables.iter().any(|table| {
            table.filter.is_some()
                && self
                    .catalog
                    .find(&table.name)
                    .is_some_and(|id| id != root && self.catalog.partition_root(id) == root)
        })
    }
}
