//! A fingerprint of the bound rules: a resume under other rules would mix two worlds of fakes.

use super::model::{ColumnPlan, Plan};
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

fn canonical(column: &ColumnPlan) -> String {
    let ColumnPlan { rule, shape, subject, origin: _ } = column;
    format!("{:?} {:?} {:?} {shape:?} {subject:?}", rule.transform, rule.domain(), shape.kind)
}
