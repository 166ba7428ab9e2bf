//! Partitioned tables: the parent's operations reach every leaf.

use super::run::{Roll, joined};
use crate::support::servers;

const EVENTS: &str = "create table events (id int not null, at date not null, kind text, amount int, primary key (id, at)) partition by range (at);
    create table events_1 partition of events for values from ('2026-01-01') to ('2026-02-01');
    create table events_2 partition of events for values from ('2026-02-01') to ('2026-03-01') partition by range (at);
    create table events_2a partition of events_2 for values from ('2026-02-01') to ('2026-02-06');
    create table events_2b partition of events_2 for values from ('2026-02-06') to ('2026-03-01');
    create index events_amount on events (amount desc) where amount > 0;
    alter table events add constraint once unique (amount, at, kind);
    alter table events add constraint small check (amount < 100);
    insert into events values (1, '2026-01-05', 'a', 1), (2, '2026-02-05', 'a', 2), (3, '2026-02-06', 'b', 3)";
const INDEXES: &str = "select c.relname, pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisprimary from pg_index i
     join pg_class c on c.oid = i.indexrelid where i.indrelid::regclass::text like 'events%' order by 1";

#[test]
fn a_column_of_a_partitioned_table_is_altered_with_its_keys_and_indexes() {
    for cluster in servers() {
        let mut roll = Roll::new(cluster, EVENTS);
        let indexes = roll.rows(INDEXES);
        let operations = "  - alter_column: {table: events, column: amount, nullable: false, up: \"coalesce(amount, 0)\", down: amount}
  - alter_column: {table: events, column: id, check: {name: positive, constraint: id > 0}, up: id, down: id}
  - add_column: {table: events, column: {name: loud, type: text}, up: \"coalesce(upper(kind), '-')\"}
  - create_index: {table: events, name: events_kind, columns: [{column: kind}]}
";
        roll.start("v1", operations);
        roll.rollback();
        assert_eq!(roll.leftovers(), Vec::<Vec<String>>::new());
        assert_eq!(roll.rows(INDEXES), indexes);
        roll.start("v1", operations);
        roll.as_version("v0", "insert into events values (4, '2026-02-07', 'b', null)");
        roll.as_version("v1", "insert into events (id, at, kind, amount, loud) values (5, '2026-01-07', 'x', 7, 'mine')");
        let all = "select id, amount, loud from events order by id";
        assert_eq!(joined(&roll.as_version("v1", all)), "1|1|A\n2|2|A\n3|3|B\n4|0|B\n5|7|mine");
        roll.complete();
        assert_eq!(roll.leftovers(), Vec::<Vec<String>>::new());
        assert_eq!(joined(&roll.as_version("v1", all)), "1|1|A\n2|2|A\n3|3|B\n4|0|B\n5|7|mine");
        assert_eq!(
            roll.refused("v1", "insert into events values ('2026-01-07', 'x', 5, 9, 'l')"),
            "22P02",
            "columns move"
        );
        assert_eq!(roll.refused("v1", "insert into events (id, at, kind, amount, loud) values (5, '2026-01-07', 'x', 9, 'l')"), "23505");
        let mut after = roll.rows(INDEXES);
        after.retain(|row| !row[0].contains("events_kind"));
        let names = |rows: &[Vec<String>]| -> Vec<String> {
            rows.iter().map(|row| format!("{} {} {}", row[0], row[2], row[3])).collect()
        };
        assert_eq!(names(&after), names(&indexes));
        assert_eq!(roll.rows("select count(*) from pg_index where not indisvalid"), [["0"]]);
    }
}

#[test]
fn complete_passes_by_a_partition_that_was_dropped() {
    for cluster in servers() {
        let mut roll = Roll::new(cluster, EVENTS);
        let operations = "  - alter_column: {table: events, column: amount, nullable: false, up: \"coalesce(amount, 0)\", down: amount}
  - alter_column: {table: events, column: id, check: {name: positive, constraint: id > 0}, up: id, down: id}
";
        roll.start("v1", operations);
        roll.sql("drop table events_2b");
        roll.complete();
        assert_eq!(roll.leftovers(), Vec::<Vec<String>>::new());
        assert_eq!(joined(&roll.as_version("v1", "select id from events order by id")), "1\n2");
        assert_eq!(roll.rows("select count(*) from pg_index where not indisvalid"), [["0"]]);
    }
}

#[test]
fn an_index_reaches_partitions_that_were_made_meanwhile() {
    for cluster in servers() {
        let roll = Roll::new(cluster, EVENTS);
        let operations = "  - create_index: {name: events_kind, table: events, unique: true, columns: [{column: kind}, {column: at}, {column: id}]}\n";
        let plan = roll.plan("v1", operations).unwrap();
        roll.steps(&plan.start);
        roll.sql(
            "alter table events_2 detach partition events_2b; alter table events_2 attach partition events_2b for values from ('2026-02-06') to ('2026-02-20');
             create table events_2c partition of events_2 for values from ('2026-02-20') to ('2026-03-01');
             create table events_3 partition of events for values from ('2026-03-01') to ('2026-04-01') partition by range (at);
             create table events_3a partition of events_3 default",
        );
        roll.steps(&plan.validate);
        assert_eq!(roll.rows("select count(*) from pg_index where not indisvalid"), [["0"]]);
        let leaves = "select count(*) from pg_partition_tree('events_kind') where isleaf";
        assert_eq!(roll.rows(leaves), [["5"]]);
    }
}

#[test]
fn the_partition_key_cannot_be_replaced() {
    for cluster in servers() {
        let roll = Roll::new(cluster, EVENTS);
        let findings = roll
            .plan(
                "v1",
                "  - alter_column: {table: events, column: at, type: text, up: '1', down: '1'}\n",
            )
            .unwrap_err();
        assert!(findings[0].message.contains("partition key"), "{}", findings[0].message);
    }
}
