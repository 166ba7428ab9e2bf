//! Which tables are copied.

use super::model::TableAction;
use crate::catalog::{Catalog, RelationName, Table, TableId};
use crate::transform::spec::{Diagnostic, Pattern, Placed, Spec, suggest};

/// The action for every table, in the catalog's order. A partition follows its root where no
/// pattern names it; patterns that match nothing are errors.
pub(super) fn actions(
    spec: &Spec,
    catalog: &Catalog,
    found: &mut Vec<Diagnostic>,
) -> Vec<TableAction> {
    for (what, patterns) in
        [("include", &spec.include), ("exclude", &spec.exclude), ("schema_only", &spec.schema_only)]
    {
        for pattern in patterns {
            if !catalog.tables.iter().any(|table| pattern.value.matches(&table.name)) {
                found.push(matches_nothing(spec, catalog, what, pattern));
            }
        }
    }
    catalog
        .iter()
        .map(|(id, table)| {
            let root = catalog.table(catalog.partition_root(id));
            action(spec, &table.name, &root.name)
        })
        .collect()
}

/// True if the patterns of the file take a table that is no partition.
pub fn is_selected(spec: &Spec, name: &RelationName) -> bool {
    action(spec, name, name) == TableAction::Copy
}

fn action(spec: &Spec, name: &RelationName, root: &RelationName) -> TableAction {
    let any = |patterns: &[Placed<Pattern>]| {
        patterns.iter().any(|one| one.value.matches(name) || one.value.matches(root))
    };
    if spec.later.contains(root) {
        return TableAction::Exclude;
    }
    if any(&spec.exclude) || !(spec.include.is_empty() || any(&spec.include)) {
        TableAction::Exclude
    } else if any(&spec.schema_only) {
        TableAction::SchemaOnly
    } else {
        TableAction::Copy
    }
}

fn matches_nothing(
    spec: &Spec,
    catalog: &Catalog,
    what: &str,
    pattern: &Placed<Pattern>,
) -> Diagnostic {
    let text = format!("{}.{}", pattern.value.schema, pattern.value.name);
    let hint = suggest_table(&text, catalog);
    Diagnostic::error(&spec.file, pattern.place, format!("`{what}`: `{text}` matches no table"))
        .with_hint_if(hint)
}

/// The table that was probably meant.
pub(super) fn suggest_table(typed: &str, catalog: &Catalog) -> Option<String> {
    let names: Vec<String> = catalog.tables.iter().map(|table| table.name.to_string()).collect();
    suggest(typed, names.iter().map(String::as_str)).or_else(|| {
        let bare = typed.rsplit('.').next()?;
        let other = catalog.tables.iter().find(|table| table.name.name == bare)?;
        Some(format!("there is `{}` in another schema", other.name))
    })
}

pub(super) fn suggest_column(typed: &str, table: &Table) -> Option<String> {
    suggest(typed, table.columns.iter().map(|column| column.name.as_str())).or_else(|| {
        let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        Some(format!("`{}` has: {}", table.name, names.join(", ")))
    })
}

/// True if the id is of a table whose rows travel.
pub(super) fn is_copied(actions: &[TableAction], id: TableId) -> bool {
    actions.get(id.0) == Some(&TableAction::Copy)
}
