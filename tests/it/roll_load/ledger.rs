//! What a writer wrote last, by row and column.

use super::case::{BY_DOWN, Case, ROWS};
use std::collections::HashMap;
use std::fmt::Write as _;

/// Of one writer, whose rows no other one writes. `None`: deleted.
pub(super) struct Ledger {
    rows: HashMap<i64, Option<Vec<i64>>>,
    /// Living rows, in no order.
    pub(super) alive: Vec<i64>,
    count: usize,
}

impl Ledger {
    /// The rows of the table whose identity leaves `writer` when divided by the number of writers.
    pub(super) fn new(case: &Case, writer: i64, writers: i64) -> Self {
        let alive = (1..=ROWS).filter(|id| id % writers == writer).collect();
        Self { rows: HashMap::new(), alive, count: case.fields.len() }
    }

    pub(super) fn seeds(&self, id: i64) -> Vec<i64> {
        match self.rows.get(&id) {
            Some(Some(seeds)) => seeds.clone(),
            Some(None) => panic!("row {id} is gone"),
            None => vec![id; self.count],
        }
    }

    pub(super) fn inserted(&mut self, case: &Case, id: i64, seed: i64, is_new: bool) {
        let of = |field: &super::case::Field| {
            if is_new && field.new.is_none() { BY_DOWN } else { seed }
        };
        self.rows.insert(id, Some(case.fields.iter().map(of).collect()));
        self.alive.push(id);
    }

    pub(super) fn updated(&mut self, case: &Case, id: i64, at: usize, seed: i64, is_new: bool) {
        let mut seeds = self.seeds(id);
        seeds[at] = seed;
        let column = case.fields[at].old.as_ref().map(|side| side.column);
        for (at, field) in case.fields.iter().enumerate() {
            if !is_new && field.follows.is_some() && field.follows == column {
                seeds[at] = seed;
            }
        }
        self.rows.insert(id, Some(seeds));
    }

    pub(super) fn deleted(&mut self, id: i64, place: usize) {
        self.rows.insert(id, None);
        self.alive.swap_remove(place);
    }

    /// What only the new version had is gone; the next start makes it of the old version's values.
    pub(super) fn rolled_back(&mut self, case: &Case) {
        for (at, field) in case.fields.iter().enumerate() {
            let Some(follows) = field.follows else { continue };
            let source = case
                .fields
                .iter()
                .position(|one| one.old.as_ref().is_some_and(|side| side.column == follows));
            for seeds in self.rows.values_mut().flatten() {
                seeds[at] = seeds[source.unwrap()];
            }
        }
    }
}

/// A query that gives the rows which are not as the ledgers say, as a version shows them: none.
pub(super) fn difference(case: &Case, ledgers: &[&Ledger], schema: &str, is_new: bool) -> String {
    let names = (0..case.fields.len()).map(|at| format!("s{at}")).collect::<Vec<_>>();
    let names = names.join(", ");
    let mut values = String::new();
    for (id, seeds) in ledgers.iter().flat_map(|ledger| &ledger.rows) {
        let seeds = match seeds {
            Some(seeds) => seeds.iter().map(ToString::to_string).collect::<Vec<_>>(),
            None => vec!["null".to_owned(); case.fields.len()],
        };
        let comma = if values.is_empty() { "" } else { "," };
        write!(values, "{comma}({id}").unwrap();
        for seed in &seeds {
            // The first row tells the types.
            write!(values, ",{seed}::bigint").unwrap();
        }
        values.push(')');
    }
    let table = if is_new { case.table } else { "account" };
    let wrong = case.fields.iter().enumerate().filter_map(|(at, field)| {
        let side = field.side(is_new)?;
        let value = side.value.replace("{n}", &format!("w.s{at}"));
        Some(format!("a.{} is distinct from ({value})", side.column))
    });
    let wrong = wrong.collect::<Vec<_>>().join(" or ");
    let untouched = vec!["g::bigint"; case.fields.len()].join(", ");
    format!(
        "with touched(id, {names}) as materialized (values {values}), wanted(id, {names}) as (
             select * from touched where s0 is not null
             union all select g, {untouched} from generate_series(1, {ROWS}) g
                where g not in (select id from touched)
         )
         select coalesce(w.id, a.id)::text, row(w.*)::text, row(a.*)::text from wanted w full join {schema}.{table} a on a.id = w.id
         where a.id is null or w.id is null or {wrong} order by 1 limit 5"
    )
}
