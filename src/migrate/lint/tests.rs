//! Each rule by a migration that it finds, and one beside it that it leaves alone.

use super::rule::RULES;
use super::{Planned, lint};
use crate::catalog::RelationName;
use crate::catalog::detail::{Index, Publication, Schema, Table, Trigger};
use crate::migrate::file::{Migration, read};
use crate::migrate::plan::{Backfill, Cost, Key, Lock, LockMode, Mode, Plan, Probe, Step};
use std::collections::{BTreeMap, BTreeSet};

fn migration(operations: &str) -> Migration {
    let text = format!("operations: [{operations}]");
    match read(&text, "m.yaml") {
        Ok(file) => file.migration,
        Err(found) => panic!("{text}\n{}", found[0]),
    }
}

fn ids(operations: &str) -> BTreeSet<&'static str> {
    lint(&migration(operations), None).into_iter().map(|lint| lint.rule.id).collect()
}

/// What each rule finds, and the same done well.
const CASES: &[(&str, &str, &str)] = &[
    ("drop-table", "{drop_table: {name: t}}", "{drop_index: {name: i}}"),
    (
        "drop-column-without-down",
        "{drop_column: {table: t, column: c}}",
        "{drop_column: {table: t, column: c, down: '0'}}",
    ),
    (
        "table-without-primary-key",
        "{create_table: {name: t, columns: [{name: a, type: text}]}}",
        "{create_table: {name: t, columns: [{name: a, type: text}], constraints: [{name: k, type: primary_key, columns: [a]}]}}",
    ),
    (
        "prefer-bigint-key",
        "{create_table: {name: t, columns: [{name: id, type: Integer, pk: true}]}}",
        "{create_table: {name: t, columns: [{name: a, type: int, pk: true}, {name: b, type: int, pk: true}]}}",
    ),
    (
        "prefer-identity",
        "{add_column: {table: t, column: {name: c, type: bigserial}}}",
        "{add_column: {table: t, column: {name: c, type: bigint, generated: {identity: {}}}}}",
    ),
    (
        "no-char",
        "{add_column: {table: t, column: {name: c, type: 'char(2)', nullable: true}}}",
        "{add_column: {table: t, column: {name: c, type: '\"char\"', nullable: true}}}",
    ),
    (
        "prefer-text",
        "{alter_column: {table: t, column: c, type: 'character varying(20)', up: c, down: c}}",
        "{alter_column: {table: t, column: c, type: varchar, up: c, down: c}}",
    ),
    (
        "prefer-timestamptz",
        "{add_column: {table: t, column: {name: c, type: 'timestamp (3)', nullable: true}}}",
        "{add_column: {table: t, column: {name: c, type: timestamp (3) with time zone, nullable: true}}}",
    ),
    (
        "prefer-jsonb",
        "{add_column: {table: t, column: {name: c, type: 'json[]', nullable: true}}}",
        "{add_column: {table: t, column: {name: c, type: jsonb, nullable: true}}}",
    ),
    (
        "no-money",
        "{add_column: {table: t, column: {name: c, type: money, nullable: true}}}",
        "{add_column: {table: t, column: {name: c, type: numeric, nullable: true}}}",
    ),
    (
        "no-timetz",
        "{add_column: {table: t, column: {name: c, type: time with time zone, nullable: true}}}",
        "{add_column: {table: t, column: {name: c, type: time, nullable: true}}}",
    ),
    (
        "name-needs-quotes",
        "{rename_table: {from: a, to: Users}}",
        "{rename_table: {from: Users, to: users_2}}",
    ),
    (
        "name-is-keyword",
        "{rename_column: {table: t, from: a, to: order}}",
        "{rename_column: {table: t, from: order, to: name}}",
    ),
    (
        "not-null-without-value",
        "{alter_column: {table: t, column: c, nullable: false, up: '(c)', down: c}}",
        "{alter_column: {table: t, column: c, nullable: false, up: 'coalesce(c, 0)', down: c}}",
    ),
    (
        "nullable-without-down",
        "{alter_column: {table: t, column: C, nullable: true, up: '\"C\"', down: '\"C\"'}}",
        "{alter_column: {table: t, column: c, nullable: true, up: c, down: 'coalesce(c, 0)'}}",
    ),
    (
        "dropped-constraint-still-holds",
        "{drop_multicolumn_constraint: {table: t, name: k, down: {a: a}}}",
        "{drop_multicolumn_constraint: {table: t, name: k, down: {a: 'abs(a)'}}}",
    ),
    (
        "deprecated-drop-constraint",
        "{drop_constraint: {table: t, name: k, down: '1'}}",
        "{drop_multicolumn_constraint: {table: t, name: k, down: {a: '1'}}}",
    ),
    (
        "replica-identity-full",
        "{set_replica_identity: {table: t, identity: {type: full}}}",
        "{set_replica_identity: {table: t, identity: {type: index, index: i}}}",
    ),
    (
        "replica-identity-nothing",
        "{set_replica_identity: {table: t, identity: {type: nothing}}}",
        "{set_replica_identity: {table: t, identity: {type: default}}}",
    ),
    (
        "volatile-expression",
        "{alter_column: {table: t, column: c, type: text, up: \"c || random()\", down: c}}",
        "{add_column: {table: t, up: gen_random_uuid(), column: {name: c, type: uuid, default: gen_random_uuid()}}}",
    ),
    (
        "query-in-expression",
        "{add_column: {table: t, up: '(SELECT max(a) FROM u)', column: {name: c, type: int}}}",
        "{add_column: {table: t, up: SELECT CASE WHEN a THEN 1 END, column: {name: c, type: int}}}",
    ),
    (
        "alter-column-twice",
        "{alter_column: {table: t, column: c, comment: x}}, {alter_column: {table: t, column: c, default: '1'}}",
        "{alter_column: {table: t, column: c, comment: x}}, {alter_column: {table: t, column: d, default: '1'}}",
    ),
    (
        "sql-without-down",
        "{sql: {up: CREATE VIEW v AS SELECT 1}}",
        "{sql: {up: GRANT a TO b, onComplete: true}}",
    ),
    (
        "sql-has-operation",
        "{sql: {up: ALTER TABLE t ADD COLUMN c int; DROP TABLE u, down: x}}",
        "{sql: {up: ALTER TABLE t ADD COLUMN c int; CREATE VIEW v AS SELECT 1, down: x}}",
    ),
    (
        "sql-index-blocks-writes",
        "{sql: {up: CREATE INDEX ON t (lower(a)), down: x}}",
        "{sql: {up: CREATE INDEX CONCURRENTLY ON t (lower(a)), down: x}}",
    ),
    (
        "sql-constraint-scans",
        "{sql: {up: ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u, down: x}}",
        "{sql: {up: ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u NOT VALID, down: x}}",
    ),
    (
        "sql-changes-all-rows",
        "{sql: {up: UPDATE t SET a = 1, down: x}}",
        "{sql: {up: UPDATE t SET a = 1 WHERE b, down: x}}",
    ),
    (
        "sql-cascade",
        "{sql: {up: DROP VIEW v CASCADE, down: x}}",
        "{sql: {up: DROP VIEW v, down: x}}",
    ),
    (
        "sql-truncate",
        "{sql: {up: TRUNCATE t, down: x}}",
        "{sql: {up: DELETE FROM t WHERE a, down: x}}",
    ),
    (
        "sql-transaction-control",
        "{sql: {up: BEGIN; SELECT 1; COMMIT, down: x}}",
        "{sql: {up: SELECT 1, down: x}}",
    ),
    ("sql-lock-table", "{sql: {up: LOCK TABLE t, down: x}}", "{sql: {up: SELECT 1, down: x}}"),
    (
        "sql-rewrites-table",
        "{sql: {up: ALTER TABLE t ALTER a TYPE bigint, down: x}}",
        "{sql: {up: ALTER TABLE t ALTER a SET STATISTICS 10, down: x}}",
    ),
    ("sql-not-read", "{sql: {up: MAKE ME A TABLE, down: x}}", "{sql: {up: SELECT 1, down: x}}"),
];

#[test]
fn each_rule_finds_what_it_is_for_and_not_the_better_way() {
    for (id, bad, good) in CASES {
        assert!(ids(bad).contains(id), "{id} does not find {bad}: {:?}", ids(bad));
        assert!(!ids(good).contains(id), "{id} finds {good}");
    }
}

fn relation(name: &str) -> RelationName {
    RelationName { schema: "public".to_owned(), name: name.to_owned() }
}

fn step(cost: Cost, mode: Mode, is_reversible: bool) -> Step {
    Step {
        id: "start/0001/x".to_owned(),
        operation: Some(0),
        statements: Vec::new(),
        mode,
        locks: vec![Lock { relation: relation("t"), mode: LockMode::AccessExclusive }],
        cost,
        is_reversible,
        is_done: Probe::default(),
        undo: Vec::new(),
    }
}

fn schema() -> Schema {
    let index = |name: &str, columns: &[&str]| Index {
        name: name.to_owned(),
        definition: format!("CREATE INDEX {name} ON public.t USING btree ({})", columns.join(", ")),
        is_valid: true,
        key_columns: columns.iter().map(|column| Some((*column).to_owned())).collect(),
        ..Index::default()
    };
    let table = Table {
        name: "t".to_owned(),
        row_estimate: Some(5_000_000),
        indexes: vec![index("by_ab", &["a", "b"])],
        publications: vec![Publication {
            name: "everything".to_owned(),
            columns: None,
            filter: None,
            filter_columns: Vec::new(),
        }],
        triggers: vec![Trigger {
            name: "touch".to_owned(),
            definition: String::new(),
            enabled: "O".to_owned(),
            function: "f".to_owned(),
            columns: Vec::new(),
            comment: None,
        }],
        ..Table::default()
    };
    Schema {
        name: "public".to_owned(),
        tables: BTreeMap::from([("t".to_owned(), table)]),
        ..Schema::default()
    }
}

fn plan(start: Vec<Step>, backfill: Vec<Backfill>) -> Plan {
    Plan {
        schema: "public".to_owned(),
        version_schema: "public_m".to_owned(),
        previous: None,
        checks: Vec::new(),
        start,
        backfill,
        validate: Vec::new(),
        views: Vec::new(),
        must_reload: false,
        must_refresh: false,
        complete: Vec::new(),
        rollback: Vec::new(),
    }
}

fn planned_ids(operations: &str, plan: &Plan) -> BTreeSet<&'static str> {
    let schema = schema();
    let lints = lint(&migration(operations), Some(Planned { plan, schema: &schema }));
    lints.into_iter().map(|lint| lint.rule.id).collect()
}

const SOME: &str = "{add_column: {table: t, column: {name: c, type: int, nullable: true}}}";

#[test]
fn steps_that_hold_a_lock_for_long_are_found() {
    type CostOf = fn(RelationName) -> Cost;
    let costs: [(&str, CostOf); 3] = [
        ("rewrite-under-lock", |relation| Cost::Rewrite { relation }),
        ("scan-under-lock", |relation| Cost::Scan { relation }),
        ("index-build-under-lock", |relation| Cost::Build { relation }),
    ];
    for (id, cost) in costs {
        let locked = plan(vec![step(cost(relation("t")), Mode::Transaction, true)], Vec::new());
        assert_eq!(planned_ids(SOME, &locked), BTreeSet::from([id]));
        let new = plan(vec![step(cost(relation("new")), Mode::Transaction, true)], Vec::new());
        assert_eq!(planned_ids(SOME, &new), BTreeSet::new());
    }
    let index = relation("i");
    let build = step(
        Cost::Build { relation: relation("t") },
        Mode::BuildIndex { index, partition: None },
        true,
    );
    assert_eq!(planned_ids(SOME, &plan(vec![build], Vec::new())), BTreeSet::new());
    let forever = step(Cost::Metadata, Mode::Transaction, false);
    let found = planned_ids(SOME, &plan(vec![forever], Vec::new()));
    assert_eq!(found, BTreeSet::from(["irreversible-start"]));
}

#[test]
fn backfills_are_judged_by_their_table() {
    let backfill = Backfill {
        id: "backfill/public.t".to_owned(),
        table: relation("t"),
        assignments: Vec::new(),
        key: Key::Ctid,
        only_where: None,
        partitions: Vec::new(),
        trigger: String::new(),
    };
    let wanted = [
        "large-backfill",
        "backfill-without-key",
        "backfill-of-published-table",
        "backfill-meets-triggers",
    ];
    let found = planned_ids(SOME, &plan(Vec::new(), vec![backfill]));
    assert_eq!(found, BTreeSet::from(wanted));
}

#[test]
fn indexes_are_held_against_those_that_are_there() {
    let none = plan(Vec::new(), Vec::new());
    let index = |columns: &str, more: &str| {
        format!("{{create_index: {{name: i, table: t, columns: [{columns}]{more}}}}}")
    };
    let both = "{column: a}, {column: b}";
    assert!(planned_ids(&index(both, ""), &none).contains("duplicate-index"));
    for (columns, more) in [
        ("{column: b}, {column: a}", ""),
        ("{column: a}", ""),
        ("{column: a, sort: DESC}, {column: b}", ""),
        (both, ", unique: true"),
        (both, ", predicate: a > 0"),
        (both, ", method: hash"),
    ] {
        let found = planned_ids(&index(columns, more), &none);
        assert!(!found.contains("duplicate-index"), "{columns}{more}");
    }
    let key = |columns: &str| {
        format!(
            "{{create_constraint: {{table: t, name: f, type: foreign_key, columns: [{columns}], \
             references: {{table: u, columns: [{columns}]}}, up: {{}}, down: {{}}}}}}"
        )
    };
    assert!(planned_ids(&key("b"), &none).contains("foreign-key-without-index"));
    for served in [key("a"), key("b, a"), format!("{}, {}", key("b"), index("{column: b}", ""))] {
        assert!(!planned_ids(&served, &none).contains("foreign-key-without-index"), "{served}");
    }
}

#[test]
fn every_rule_has_an_id_of_its_own_and_a_test() {
    let ids: BTreeSet<_> = RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(ids.len(), RULES.len());
    let of_plans = [
        "rewrite-under-lock",
        "scan-under-lock",
        "index-build-under-lock",
        "irreversible-start",
        "large-backfill",
        "backfill-without-key",
        "backfill-of-published-table",
        "backfill-meets-triggers",
        "duplicate-index",
        "foreign-key-without-index",
    ];
    let tested = CASES.iter().map(|(id, _, _)| *id).chain(of_plans).collect();
    assert_eq!(ids, tested);
}
