//! `drop_column`: hidden from the new version at start, dropped at complete.

use crate::catalog::detail::Index;
use crate::migrate::model::Pair;
use crate::migrate::operation::DropColumn;
use crate::migrate::plan::draft::{Applied, Direction, Draft, Wanted};
use crate::migrate::plan::{Finding, FindingKind};
use crate::pg::Ident;

pub(super) fn apply(draft: &mut Draft, at: usize, body: &DropColumn) -> Applied {
    let table = draft.table(at, &body.table).map_err(|finding| vec![finding])?;
    let Some(column) = table.column(&body.column).cloned() else {
        return Err(vec![super::no_column(at, &body.table, &body.column)]);
    };
    if table.new_column(&column.physical).is_some() {
        let words = format!("column {:?} is changed and dropped in one migration", body.column);
        let finding = Finding::new(FindingKind::InvalidMigration, at, words);
        return Err(vec![finding.table(&body.table).column(&body.column)]);
    }
    let (is_new, physical) = (table.is_new, table.physical.clone());
    if !is_new {
        let blocking = super::blocking(&draft.model, table, &column.key, false);
        if let Some(what) = blocking.first() {
            let words = format!(
                "{what} depends on column {:?}: drop or change it before the migration",
                body.column
            );
            let finding = Finding::new(FindingKind::DependentObject, at, words);
            return Err(vec![finding.table(&body.table).column(&body.column)]);
        }
    }
    let found = draft.change(at, &body.table);
    found.columns.retain(|one| one.name != body.column);
    let reads = |one: &&Index| one.columns.contains(&column.key);
    let indexes = found.detail.indexes.iter().filter(reads);
    let behind: Vec<String> = indexes.filter_map(|one| one.constraint.clone()).collect();
    found
        .constraints
        .retain(|one| !one.columns.contains(&column.key) && !behind.contains(&one.name));
    // They go with the column: there will be nothing to rename.
    let constraints = &found.constraints;
    found.renamed_constraints.retain(|(_, to)| constraints.iter().any(|one| one.name == *to));
    if is_new {
        let part = format!("DROP COLUMN {}", Ident(&body.column));
        super::on_new_table::alter(draft, at, &physical, "drop-column", &[part]);
        return Ok(());
    }
    found.dropped_columns.push(column.physical.clone());
    let Some(down) = &body.down else { return Ok(()) };
    let environment = draft.table(at, &body.table).map_err(|finding| vec![finding])?;
    let mut environment = environment.down_environment();
    // The dropped column's own value: what the writer left in it, its default.
    let own =
        (column.type_name.clone(), crate::migrate::model::Call::Column(column.physical.clone()));
    environment.entry(body.column.clone()).or_insert(own);
    let wanted = Wanted {
        at,
        table: &body.table,
        column: &body.column,
        field: "down",
        expression: down,
        environment: &environment,
        returns: &column.type_name,
        direction: Direction::Down,
    };
    let down = draft.function(&wanted).map_err(|finding| vec![finding])?;
    let old = Some(column.physical);
    draft.change(at, &body.table).pairs.push(Pair {
        old,
        new: None,
        up: None,
        down: Some(down),
        old_draws: false,
    });
    Ok(())
}
