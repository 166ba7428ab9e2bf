//! The rules by id, and what is found by them.

use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Worth knowing.
    Note,
    /// Goes wrong for somebody, some day.
    Warning,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    pub id: &'static str,
    pub level: Level,
    /// What to do instead.
    pub advice: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lint {
    #[serde(flatten)]
    pub rule: Rule,
    /// Index in the migration's operations; `None`: of the migration as a whole.
    pub operation: Option<usize>,
    /// Where in the operation: `up`, `columns[1].type`.
    pub field: String,
    pub message: String,
}

macro_rules! rules {
    ($($name:ident = $level:ident $id:literal $advice:literal;)*) => {
        $(pub(super) const $name: Rule =
            Rule { id: $id, level: Level::$level, advice: $advice };)*

        /// Every rule.
        pub const RULES: &[Rule] = &[$($name),*];
    };
}

rules! {
    DROP_TABLE = Note "drop-table" "complete drops the rows: keep a copy if they may be asked for";
    DROP_COLUMN_WITHOUT_DOWN = Warning "drop-column-without-down" "give `down`: what the old version sees in rows that the new one writes";
    TABLE_WITHOUT_KEY = Warning "table-without-primary-key" "give the table a primary key: replication, backfills and people need one";
    SMALL_KEY = Warning "prefer-bigint-key" "make it bigint: a key of four bytes ends at 2 147 483 647";
    SERIAL = Note "prefer-identity" "use `generated: {identity: {…}}`: the sequence belongs to the column and its rights follow";
    FIXED_CHAR = Warning "no-char" "use text: char pads with spaces and compares without them";
    LIMITED_VARCHAR = Note "prefer-text" "use text with a check: another limit is another migration of all rows";
    PLAIN_TIMESTAMP = Warning "prefer-timestamptz" "use timestamptz: timestamp forgets which time zone it was in";
    PLAIN_JSON = Warning "prefer-jsonb" "use jsonb: json has no equality, so DISTINCT and unique fail on it";
    MONEY = Warning "no-money" "use numeric: money is in the currency of the server's lc_monetary";
    TIME_WITH_ZONE = Warning "no-timetz" "use timestamptz or time: a zone without a date has no offset";
    MIXED_CASE = Note "name-needs-quotes" "use lower case: every query must quote the name otherwise";
    KEYWORD = Warning "name-is-keyword" "use another name: SQL takes the word for its own unless it is quoted";
    NOT_NULL_KEEPS = Warning "not-null-without-value" "give in `up` what stands in place of NULL: a NULL that is there stops the start";
    NULLABLE_KEEPS = Warning "nullable-without-down" "give in `down` what the old version sees in place of NULL: until complete the new one cannot write it";
    DROPPED_KEEPS = Warning "dropped-constraint-still-holds" "give in `down` values that the constraint allows: until complete the new version cannot write others";
    SINGLE_DROP = Note "deprecated-drop-constraint" "use `drop_multicolumn_constraint`, which drops any constraint";
    IDENTITY_FULL = Warning "replica-identity-full" "use a key: FULL writes every old row to the WAL and lets replicas search for it";
    IDENTITY_NOTHING = Warning "replica-identity-nothing" "use a key: updates of a published table fail without one";
    VOLATILE_VALUE = Warning "volatile-expression" "derive the value from the row: this one is another each time it is asked for";
    QUERY_VALUE = Warning "query-in-expression" "it runs once a row, and does not see what changes there later: backfill in a migration of its own";
    ALTER_TWICE = Warning "alter-column-twice" "make it one `alter_column`: each of them fills all rows";
    SQL_WITHOUT_DOWN = Warning "sql-without-down" "give `down`, which must bear that `up` was not run: a rollback cannot take this back";
    SQL_CONVERTIBLE = Warning "sql-has-operation" "`backlot roll convert` makes operations of it, by which both versions go on working";
    SQL_INDEX = Warning "sql-index-blocks-writes" "use `create_index`, or CREATE INDEX CONCURRENTLY by itself";
    SQL_CONSTRAINT = Warning "sql-constraint-scans" "add it NOT VALID, and VALIDATE it in a migration after: all rows are read under a lock";
    SQL_ALL_ROWS = Warning "sql-changes-all-rows" "do it in batches, or as `up` of a column: one statement holds all rows and bloats the table";
    SQL_CASCADE = Warning "sql-cascade" "name what is dropped: CASCADE takes what you do not see";
    SQL_TRUNCATE = Warning "sql-truncate" "both versions lose the rows at once, under an exclusive lock";
    SQL_TRANSACTION = Warning "sql-transaction-control" "leave BEGIN and COMMIT out: the migration's own note of the step belongs to the transaction";
    SQL_LOCK = Warning "sql-lock-table" "leave LOCK out: the table is locked until the whole script has run";
    SQL_REWRITE = Warning "sql-rewrites-table" "use `alter_column`: the table is written anew while nobody can read it";
    SQL_UNREAD = Note "sql-not-read" "the parser does not take it: the rules for SQL did not look at it";
    REWRITE = Warning "rewrite-under-lock" "nobody reads or writes the table while it is written anew";
    SCAN = Warning "scan-under-lock" "writes wait while all rows are read";
    BUILD = Warning "index-build-under-lock" "writes wait while the index is built";
    BACKFILL_LARGE = Note "large-backfill" "choose a quiet hour, or slow it down by --backfill-batch-delay, --max-replica-lag or --max-wal-rate";
    BACKFILL_NO_KEY = Note "backfill-without-key" "ranges are of pages: give the table a primary key first if it is to be resumed exactly";
    BACKFILL_PUBLISHED = Note "backfill-of-published-table" "every row is an update to each subscriber: watch their lag";
    BACKFILL_TRIGGERS = Note "backfill-meets-triggers" "a role that may set session_replication_role does not fire them";
    IRREVERSIBLE_START = Warning "irreversible-start" "rollback is refused once this has run: do it at complete, or by itself";
    KEY_WITHOUT_INDEX = Warning "foreign-key-without-index" "index the columns: each delete of a referenced row reads the whole table otherwise";
    SAME_INDEX = Warning "duplicate-index" "use the one that is there: each index costs every write";
}

/// The lints of one operation, as they are found.
pub(super) struct Found<'a> {
    at: usize,
    lints: &'a mut Vec<Lint>,
}

impl<'a> Found<'a> {
    pub(super) fn at(at: usize, lints: &'a mut Vec<Lint>) -> Self {
        Self { at, lints }
    }

    pub(super) fn push(
        &mut self,
        rule: Rule,
        field: impl Into<String>,
        message: impl Into<String>,
    ) {
        let (field, message) = (field.into(), message.into());
        self.lints.push(Lint { rule, operation: Some(self.at), field, message });
    }
}
