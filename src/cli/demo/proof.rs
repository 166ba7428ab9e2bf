//! The demo's proof: nothing dangles, nothing doubles, nothing leaks.

use crate::catalog::{self, Catalog, TableId};
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::pg::{ConnInfo, Error, Ident, Session};
use crate::transform::Transform;
use crate::transform::plan::{Plan, TableAction, TablePlan};
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::fmt;

const ORPHANS: &str = include_str!("../../../demo/proof_orphans.sql");
const DUPLICATES: &str = include_str!("../../../demo/proof_duplicates.sql");
const COUNTS: &str = include_str!("../../../demo/proof_counts.sql");
/// Shorter values are found by chance.
const LEAK_MIN_CHARS: usize = 6;
/// Longer keys than this many columns do not occur in the sample.
const VALUE_PREFIX: usize = 1;

#[derive(Debug, Default, Serialize)]
pub(super) struct Proof {
    references: usize,
    orphans: i64,
    unique_columns: usize,
    duplicates: i64,
    tables: usize,
    missing_rows: i64,
    /// Masked values of the clone that were compared with the source's.
    values_searched: u64,
    /// A masked column that shows the source's value in the same row, or, where no fake can
    /// equal an original by chance, anywhere in the column.
    leaked: u64,
    /// Where, as `schema.table.column`.
    leaks: Vec<String>,
}

impl Proof {
    pub(super) async fn run(
        source: &ConnInfo,
        target: &ConnInfo,
        plan: &Plan,
    ) -> Result<Self, Failure> {
        let before = Session::connect(source, "backlot demo").await?;
        let after = Session::connect(target, "backlot demo").await?;
        let mut proof = Self::default();
        proof.integrity(&before, &after).await?;
        let catalog = catalog::load(&before).await?;
        for table in plan.tables.iter().filter(|table| table.action == TableAction::Copy) {
            proof.search(&before, &after, &catalog, table).await?;
        }
        Ok(proof)
    }

    async fn integrity(&mut self, before: &Session, after: &Session) -> Result<(), Error> {
        let number = |row: &tokio_postgres::Row, column: &str| row.get::<_, i64>(column);
        for row in after.query(ORPHANS, &[]).await? {
            self.references += 1;
            self.orphans += number(&row, "orphans");
        }
        for row in after.query(DUPLICATES, &[]).await? {
            self.unique_columns += 1;
            self.duplicates += number(&row, "duplicates");
        }
        let have = after.query(COUNTS, &[]).await?;
        let have = have.iter().map(|row| (row.get::<_, String>("table"), number(row, "row_count")));
        let have = have.collect::<HashMap<_, _>>();
        for want in before.query(COUNTS, &[]).await? {
            let found = have.get(want.get::<_, &str>("table")).copied().unwrap_or(0);
            self.tables += 1;
            self.missing_rows += (number(&want, "row_count") - found).abs();
        }
        Ok(())
    }

    async fn search(
        &mut self,
        before: &Session,
        after: &Session,
        catalog: &Catalog,
        plan: &TablePlan,
    ) -> Result<(), Error> {
        let masked = masked_columns(catalog, plan.table, plan);
        if masked.is_empty() {
            return Ok(());
        }
        let table = catalog.table(plan.table);
        let key_is_kept =
            table.primary_key.iter().all(|name| !masked.iter().any(|(column, _)| column == name));
        let key = if key_is_kept && !table.primary_key.is_empty() {
            table.primary_key.as_slice()
        } else {
            &[]
        };
        let sql = select(&table.name.sql(), key, &masked);
        let original = before.query(&sql, &[]).await?;
        let clone = after.query(&sql, &[]).await?;
        for (at, (column, transform)) in masked.iter().enumerate() {
            let value = |row: &tokio_postgres::Row| row.get::<_, Option<String>>(at + VALUE_PREFIX);
            let is_long = |value: &String| value.chars().count() >= LEAK_MIN_CHARS;
            let mut leaked = 0;
            if fakes_are_apart(transform) {
                let originals =
                    original.iter().filter_map(value).filter(is_long).collect::<HashSet<_>>();
                for fake in clone.iter().filter_map(value).filter(is_long) {
                    self.values_searched += 1;
                    leaked += u64::from(originals.contains(&fake));
                }
            } else if !key.is_empty() {
                let by_key = original
                    .iter()
                    .map(|row| (row.get::<_, String>(0), value(row)))
                    .collect::<HashMap<_, _>>();
                for row in &clone {
                    let Some(fake) = value(row).filter(is_long) else { continue };
                    self.values_searched += 1;
                    let same = by_key
                        .get(&row.get::<_, String>(0))
                        .is_some_and(|value| value.as_ref() == Some(&fake));
                    leaked += u64::from(same);
                }
            }
            if leaked > 0 {
                self.leaked += leaked;
                self.leaks.push(format!("{}.{column}", table.name));
            }
        }
        Ok(())
    }

    /// Fails if anything is wrong.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.orphans == 0 && self.duplicates == 0 && self.leaked == 0 && self.missing_rows == 0 {
            return Ok(());
        }
        Err(Failure::internal("the proof failed")
            .hint("this is a bug in backlot: please report it"))
    }
}

/// Masked columns of direct identifiers; dates, amounts and buckets may rightly stay the same.
fn masked_columns(catalog: &Catalog, table: TableId, plan: &TablePlan) -> Vec<(String, Transform)> {
    let table = catalog.table(table);
    let columns = table.columns.iter().zip(&plan.columns).filter(|(column, _)| column.is_copied());
    columns
        .filter(|(_, plan)| {
            !matches!(
                plan.rule.transform,
                Transform::Keep
                    | Transform::Null
                    | Transform::Constant { .. }
                    | Transform::Json { .. }
                    | Transform::Code
                    | Transform::DateShift { .. }
                    | Transform::DateBucket { .. }
                    | Transform::NumberBucket { .. }
                    | Transform::NumberNoise { .. }
            )
        })
        .map(|(column, plan)| (column.name.clone(), plan.rule.transform.clone()))
        .collect()
}

/// Transforms whose fakes come from a space that no original is in.
fn fakes_are_apart(transform: &Transform) -> bool {
    matches!(
        transform,
        Transform::Email
            | Transform::Username
            | Transform::HashToken { .. }
            | Transform::Url
            | Transform::Uuid
    )
}

fn select(table: &str, key: &[String], masked: &[(String, Transform)]) -> String {
    let key = key.iter().map(|name| Ident(name).to_string()).collect::<Vec<_>>().join(", ");
    let values = masked
        .iter()
        .map(|(name, _)| format!("{}::text", Ident(name)))
        .collect::<Vec<_>>()
        .join(", ");
    format!("select row({key})::text, {values} from only {table}")
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "proof: {} tables, {} rows missing", self.tables, self.missing_rows)?;
        writeln!(f, "       {} references, {} orphans", self.references, self.orphans)?;
        writeln!(
            f,
            "       {} unique columns, {} duplicates",
            self.unique_columns, self.duplicates
        )?;
        write!(
            f,
            "       {} masked values searched, {} leaked",
            output::count(self.values_searched),
            self.leaked
        )?;
        for leak in &self.leaks {
            write!(f, "\n         {leak}")?;
        }
        Ok(())
    }
}
