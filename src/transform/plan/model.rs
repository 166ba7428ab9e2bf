//! The bound plan.

use crate::catalog::{ColumnRef, RelationName, TableId};
use crate::transform::plan::Confidence;
use crate::transform::spec::{Defaults, Diagnostic, Pattern, Profile};
use crate::transform::{Rule, Shape};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableAction {
    Copy,
    /// The table is made on the target and stays empty.
    SchemaOnly,
    /// The table is left out; on the target it does not exist.
    Exclude,
}

/// Which default spoke where neither the file nor detection did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultOrigin {
    /// Cannot hold text and is not known to be personal: kept.
    Kept,
    /// A surrogate key (integer or uuid): kept, so that rows stay comparable.
    SurrogateKey,
    /// Can hold text and was not examined: closed.
    FailClosed,
    /// `defaults:` of the file.
    Policy(&'static str),
    /// A generated column: the target computes it.
    Generated,
    /// A table that is not copied.
    NotCopied,
}

/// Where the rule of a column comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Config {
        line: u32,
    },
    Detected {
        class: &'static str,
        evidence: String,
        confidence: Confidence,
    },
    /// The rule stands at another column of the class, as `schema.table.column`.
    ForeignKey {
        from: String,
    },
    /// The rule stands at a partition root or an inheritance parent.
    PartitionRoot,
    /// The rule reached the column by `references:` of the file.
    Reference,
    Default(DefaultOrigin),
}

#[derive(Clone, Debug)]
pub struct ColumnPlan {
    pub rule: Rule,
    pub shape: Shape,
    pub origin: Origin,
    /// Positions of the columns of the same table whose raw values key a `date_shift`; empty:
    /// the value itself.
    pub subject: Vec<usize>,
}

#[derive(Clone, Debug)]
pub struct TablePlan {
    pub table: TableId,
    pub name: RelationName,
    pub action: TableAction,
    /// The condition of `where`, as SQL.
    pub filter: Option<String>,
    /// One per column of the catalog's table, in its order.
    pub columns: Vec<ColumnPlan>,
}

#[derive(Clone, Debug)]
pub struct Plan {
    /// One per table of the catalog, in its order.
    pub tables: Vec<TablePlan>,
    pub profile: Profile,
    pub defaults: Defaults,
    /// `include`, `exclude` and `schema_only` of the file: tables that come later are chosen by them too.
    pub patterns: [Vec<Pattern>; 3],
    /// `references` of the file, as columns of the catalog.
    pub references: Vec<(ColumnRef, ColumnRef)>,
    pub warnings: Vec<Diagnostic>,
}

impl Plan {
    pub fn table(&self, id: TableId) -> Option<&TablePlan> {
        self.tables.get(id.0)
    }

    pub fn find(&self, name: &RelationName) -> Option<&TablePlan> {
        self.tables.iter().find(|table| table.name == *name)
    }
}

impl TablePlan {
    /// True if rows can be forwarded as they are.
    pub fn is_pass_through(&self) -> bool {
        self.columns.iter().all(|column| column.rule.is_keep())
    }
}
