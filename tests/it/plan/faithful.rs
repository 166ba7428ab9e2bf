//! What `alter_column` must not lose.

use super::run::Roll;
use crate::support::servers;
use backlot::catalog::detail::Table;

const EVERYTHING: &str = r#"
    do $$ begin create role plan_app; exception when duplicate_object or unique_violation then null; end $$;
    create table owners (tenant int, id int, primary key (tenant, id));
    create table items (
        id int generated always as identity (start with 100 increment by 5) primary key,
        tenant int not null default 7,
        "Owner id" int,
        code varchar(20) collate "C" not null default 'a' check (code <> 'code'),
        amount numeric(10,2) check (amount >= 0),
        note text,
        constraint items_code_key unique (code) include (amount),
        constraint items_owner foreign key (tenant, "Owner id") references owners (tenant, id) on delete set null ("Owner id") deferrable initially deferred
    );
    create table lines (item int references items (id) on delete cascade, n int, parent int);
    alter table lines add constraint lines_parent foreign key (parent) references items (id) not valid;
    create index items_lower on items (lower(code) desc nulls last, tenant) include (note) with (fillfactor = 70) where code <> 'code';
    create unique index items_pair on items (tenant, code text_pattern_ops);
    create statistics items_stats on tenant, code from items;
    alter table items alter column code set statistics 77, alter column code set storage external, alter column code set (n_distinct = 5);
    comment on column items.code is 'the code';
    comment on constraint items_code_key on items is 'one each';
    comment on index items_lower is 'for searches';
    grant select, update on items to plan_app;
    grant select (code) on items to plan_app;
    grant usage on sequence items_id_seq to plan_app;
    alter table items enable row level security;
    create policy items_mine on items for select to plan_app using (code = current_user and tenant > 0);
    create function touch() returns trigger language plpgsql as 'begin return new; end';
    create trigger items_touch before update of code on items for each row when (old.code is distinct from new.code) execute function touch();
    alter table items enable always trigger items_touch;
    create view item_codes with (security_barrier = true) as select id, code from items;
    create view item_codes_2 as select code || '!' as loud from item_codes;
    grant select on item_codes_2 to plan_app;
    comment on view item_codes is 'codes';
    create publication items_pub for table items (id, code, tenant) where (code <> 'x') with (publish = 'insert');
    alter table items replica identity using index items_pkey;
    alter table items cluster on items_pair;
    insert into owners values (7, 1), (7, 2);
    insert into items ("Owner id", code, amount) values (1, 'b', 1), (2, 'c', 2), (null, 'd', 3);
    insert into lines values (100, 1, null), (105, 2, 100);
"#;

/// Everything but what a second column cannot keep: the order of the columns.
fn comparable(roll: &Roll, name: &str) -> Table {
    let mut table = roll.model().detail.tables[name].clone();
    table.columns.sort_by(|a, b| a.name.cmp(&b.name));
    table.columns.iter_mut().for_each(|column| column.number = 0);
    table.dependents.sort_by(|a, b| (&a.column, &a.identity).cmp(&(&b.column, &b.identity)));
    for index in &mut table.indexes {
        index.columns.sort();
    }
    for constraint in &mut table.constraints {
        if constraint.expression.is_some() {
            constraint.columns.sort();
        }
    }
    for policy in &mut table.policies {
        policy.columns.sort();
    }
    for publication in &mut table.publications {
        publication.columns.iter_mut().for_each(|columns| columns.sort());
    }
    for trigger in &mut table.triggers {
        trigger.columns.sort();
    }
    for one in &mut table.statistics {
        one.columns.sort();
        one.definition.clear();
    }
    (table.size_bytes, table.row_estimate) = (0, None);
    table
}

fn check_kept(operations: &str) {
    for cluster in servers() {
        let mut roll = Roll::new(cluster, EVERYTHING);
        let before = [comparable(&roll, "items"), comparable(&roll, "lines")];
        let views = roll.rows(VIEWS);
        let rows =
            roll.rows("select id, tenant, \"Owner id\", code, amount from items order by id");
        roll.start("v1", operations);
        roll.rollback();
        assert_eq!(roll.leftovers(), Vec::<Vec<String>>::new());
        assert_eq!(
            [comparable(&roll, "items"), comparable(&roll, "lines")],
            before,
            "after rollback"
        );
        roll.start("v1", operations);
        roll.as_version("v1", "insert into items (code, amount) values ('new', 9)");
        roll.as_version("v0", "insert into items (code, amount) values ('old', 9)");
        roll.complete();
        assert_eq!(roll.leftovers(), Vec::<Vec<String>>::new());
        pretty(&comparable(&roll, "items"), &before[0]);
        pretty(&comparable(&roll, "lines"), &before[1]);
        assert_eq!(roll.rows(VIEWS), views);
        let after = roll.rows(
            "select id, tenant, \"Owner id\", code, amount from items where amount < 9 order by id",
        );
        assert_eq!(after, rows);
        roll.as_version("v1", "insert into items (code, amount) values ('later', 9)");
        let ids = roll.rows("select count(distinct id), max(id) > 110 from items");
        assert_eq!(ids, [["6", "t"]]);
    }
}

const VIEWS: &str = "select c.relname, pg_get_viewdef(c.oid), c.reloptions::text, c.relacl::text, obj_description(c.oid)
     from pg_class c where relkind = 'v' and relnamespace = 'public'::regnamespace order by 1";

/// A difference that can be read.
fn pretty(after: &Table, before: &Table) {
    let (after, before) = (format!("{after:#?}"), format!("{before:#?}"));
    let differing: Vec<String> = before
        .lines()
        .zip(after.lines())
        .filter(|(before, after)| before != after)
        .map(|(before, after)| format!("- {before}\n+ {after}"))
        .collect();
    assert_eq!(after, before, "\n{}", differing.join("\n"));
}

#[test]
fn an_altered_text_column_keeps_everything_that_was_not_asked_for() {
    check_kept(
        "  - create_constraint: {table: items, name: code_len, type: check, check: \"length(code) < 30\", columns: [code], up: {code: code}, down: {code: code}}\n  - drop_constraint: {table: items, name: code_len, down: code}\n",
    );
}

#[test]
fn an_altered_key_keeps_everything_that_was_not_asked_for() {
    check_kept(
        "  - create_constraint: {table: items, name: id_pos, type: check, check: \"id > 0\", columns: [id], up: {id: id}, down: {id: id}}\n  - drop_constraint: {table: items, name: id_pos, down: id}\n",
    );
}

#[test]
fn altered_ends_of_a_foreign_key_keep_everything_that_was_not_asked_for() {
    check_kept(
        "  - create_constraint: {table: items, name: some, type: check, check: \"tenant > 0\", columns: [tenant, \"Owner id\"], up: {tenant: tenant, \"Owner id\": '\"Owner id\"'}, down: {tenant: tenant, \"Owner id\": '\"Owner id\"'}}\n  - drop_multicolumn_constraint: {table: items, name: some, down: {tenant: tenant, \"Owner id\": '\"Owner id\"'}}\n",
    );
}
