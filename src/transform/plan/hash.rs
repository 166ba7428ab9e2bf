//! A fingerprint of the bound rules: a resume under other rules would mix two worlds of fakes.

use super::model::{ColumnPlan, Plan, TablePlan};
use crate::catalog::Table;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

impl Plan {
    /// SHA-256 in hex over everything that decides bytes on the target: actions, filters, rules
    /// with their options and domains, subjects. Not over origins, evidence or the file's layout.
    pub fn config_hash(&self) -> String {
        let mut text = String::from("backlot plan v1\n");
        for table in &self.tables {
            let filter = table.filter.as_deref().unwrap_or("");
            // `{:?}` quotes and escapes, so that no two plans spell the same text.
            let _ = writeln!(text, "{:?} {:?} {filter:?}", table.name, table.action);
            for (at, column) in table.columns.iter().enumerate() {
                if !column.rule.is_keep() {
                    let _ = writeln!(text, " {at} {}", canonical(column));
                }
            }
        }
        hex::encode(Sha256::digest(text))
    }
}

impl TablePlan {
    /// SHA-256 in hex over the rules of the table's columns: equal as long as the table's rows
    /// become the same bytes. Over the columns that are copied and that `is_there` knows, in their
    /// order: a column that is renamed, generated, or added behind the others and kept, changes
    /// nothing.
    pub fn rules_hash(&self, table: &Table, is_there: impl Fn(&str) -> bool) -> String {
        let mut text = String::from("backlot table rules v1\n");
        let copied = table.copied_columns().filter(|(_, column)| is_there(&column.name));
        for (place, (at, _)) in copied.enumerate() {
            if let Some(column) = self.columns.get(at).filter(|column| !column.rule.is_keep()) {
                let _ = writeln!(text, " {place} {}", canonical(column));
            }
        }
        hex::encode(Sha256::digest(text))
    }
}

fn canonical(column: &ColumnPlan) -> String {
    let ColumnPlan { rule, shape, subject, origin: _ } = column;
    format!("{:?} {:?} {:?} {shape:?} {subject:?}", rule.transform, rule.domain(), shape.kind)
}
