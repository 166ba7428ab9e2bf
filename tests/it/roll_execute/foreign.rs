//! Migrations that a pgroll has under way, as its statements leave them, are taken back.

use backlot::{
    migrate::plan::Plan,
    roll::{Progress, Roll, RollError},
};

use super::rig::{Rig, plan, step};
use super::state::PGROLLS;
use crate::support::{
    database::{block_on, connect},
    query_strings, query_value, servers, sql,
};

/// The version before.
const BEFORE: &str = "set pgroll.no_inferred_migrations = 'TRUE';
    alter table public.t add column b text not null default '1', add column d text, add column \"K y\" int, add check (b <> '');
    create unique index t_b on public.t (b);
    create table public.gone (id int primary key);
    insert into public.t (a, b, d) values (1, '1', 'x'), (2, '2', 'y');
    create view public_02_b.t as select * from public.t;
    create view public_02_b.gone as select * from public.gone";

const OPERATIONS: &str = r#"[
    {"alter_column": {"table": "t", "column": "b", "type": "int", "up": "b::int", "down": "b::text"}},
    {"alter_column": {"table": "t", "column": "K y", "nullable": false, "up": "1", "down": "\"K y\""}},
    {"add_column": {"table": "t", "column": {"name": "c", "type": "int", "unique": true}, "up": "a"}},
    {"drop_column": {"table": "t", "column": "d", "down": "'x'"}},
    {"create_table": {"name": "u", "columns": [{"name": "id", "type": "int", "pk": true}]}},
    {"drop_table": {"name": "gone"}},
    {"create_index": {"name": "t_a", "table": "t", "columns": [{"column": "a"}]}},
    {"rename_column": {"table": "t", "from": "a", "to": "aa"}}]"#;

/// Behind it all, what a start does before the views and after.
const HALF: &str = "alter table public.t add column _pgroll_new_b int;
    alter table public.t add constraint \"_pgroll_dup__pgroll_check_not_null_b\" check (_pgroll_new_b is not null) not valid";
const HALF_MORE: &str = "alter table public.t add constraint _pgroll_dup_t_b_check check (_pgroll_new_b <> 0) not valid;
    create unique index _pgroll_dup_t_b on public.t (_pgroll_new_b);
    alter table public.t add column \"_pgroll_new_K y\" int;
    alter table public.t add constraint \"_pgroll_check_not_null_K y\" check (\"_pgroll_new_K y\" is not null) not valid;
    create unlogged table public._pgroll_temp_fastpath_check as select * from public.t where false;
    alter table public.t add column _pgroll_new_c int;
    create unique index _pgroll_uniq_c on public.t (_pgroll_new_c);
    create table public.u (id int primary key);
    alter table public.gone rename to _pgroll_del_gone;
    create index t_a on public.t (a);
    create schema public_03_c;
    create view public_03_c.t as select a as aa, _pgroll_new_b as b, _pgroll_new_c as c from public.t;
    create view public_03_c.u as select id from public.u;
    alter table public.t add column _pgroll_needs_backfill boolean default true;
    do $$ declare one text; begin
        foreach one in array array['_pgroll_trigger_t_b', '_pgroll_trigger_t__pgroll_new_b', '_pgroll_trigger_t_K y', '_pgroll_trigger_t_c', '_pgroll_trigger_t_d'] loop
            execute format('create function public.%I() returns trigger language plpgsql as ''begin return new; end''', one);
            execute format('create trigger %I before insert or update on public.t for each row execute function public.%I()', one, one);
        end loop;
    end $$;
    create function public.\"_pgroll_trigger_t__pgroll_new_K y\"() returns trigger language plpgsql as 'begin return new; end';
    update public.t set _pgroll_new_b = b::int, _pgroll_new_c = a, \"_pgroll_new_K y\" = 1";

/// Of all schemas but the state's.
const PICTURE: &str = "select 'relation', c.oid::regclass::text, c.relkind::text from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname like 'public%'
    union all select 'column', a.attrelid::regclass || '.' || a.attname, format_type(a.atttypid, a.atttypmod) from pg_attribute a join pg_class c on c.oid = a.attrelid
        join pg_namespace n on n.oid = c.relnamespace where n.nspname like 'public%' and a.attnum > 0 and not a.attisdropped
    union all select 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(c.oid) from pg_constraint c join pg_namespace n on n.oid = c.connamespace where n.nspname like 'public%'
    union all select 'function', p.oid::regprocedure::text, '' from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname like 'public%'
    union all select 'schema', nspname, '' from pg_namespace where nspname like 'public%'
    union all select 'row', t::text, '' from public.t
    order by 1, 2, 3";

struct Foreign {
    rig: Rig,
    before: Vec<Vec<String>>,
}

impl Foreign {
    fn new(name: &str, operations: &str, statements: &[&str]) -> Self {
        let rig = Rig::bare(servers().last().unwrap(), name);
        sql(&rig.database, PGROLLS);
        rig.init();
        sql(&rig.database, BEFORE);
        let before = query_strings(&rig.database, PICTURE);
        let row = "insert into pgroll.migrations (schema, name, parent, migration) values ('public', '03_c', '02_b', jsonb_build_object('operations', $$";
        sql(&rig.database, &format!("{row}{operations}$$::jsonb))"));
        for statement in statements {
            sql(&rig.database, &format!("set pgroll.no_inferred_migrations = 'TRUE'; {statement}"));
        }
        Self { rig, before }
    }

    fn is_back(&self) {
        assert_eq!(query_strings(&self.rig.database, PICTURE), self.before);
        let history = "select count(*) from pgroll.migrations where not done";
        assert_eq!(query_value(&self.rig.database, history), "0");
        let next = step("start/next", &["create table public.next (id int)"]);
        self.rig.start("03_d", &Plan { start: vec![next], ..plan() }).unwrap();
    }

    #[track_caller]
    fn is_left_alone(&self) {
        let there = query_strings(&self.rig.database, PICTURE);
        let refused = self.rig.rollback();
        let Err(RollError::ForeignCompleting { .. }) = refused else {
            panic!("{}: {refused:?}", self.rig.database.name)
        };
        assert_eq!(query_strings(&self.rig.database, PICTURE), there);
    }
}

#[test]
fn a_start_is_taken_back_however_far_it_came() {
    for (name, statements) in [
        ("foreign_noted", [].as_slice()),
        ("foreign_half", &[HALF]),
        ("foreign_whole", &[HALF, HALF_MORE]),
    ] {
        let foreign = Foreign::new(name, OPERATIONS, statements);
        let there = query_strings(&foreign.rig.database, PICTURE);
        let dry = block_on(async {
            let mut roll = Roll::lock(foreign.rig.options.clone()).await.unwrap();
            backlot::roll::rollback(&mut roll, true, &Progress::default()).await.unwrap()
        });
        assert!(dry.statements.iter().any(|one| one.contains("public_03_c")));
        assert_eq!(query_strings(&foreign.rig.database, PICTURE), there);
        foreign.rig.rollback().unwrap();
        foreign.is_back();
    }
}

#[test]
fn sql_is_taken_back_by_its_down() {
    let operations = r#"[{"sql": {"up": "create table public.s (id int)", "down": "drop table if exists public.s"}}]"#;
    let foreign = Foreign::new(
        "foreign_sql",
        operations,
        &["create table public.s (id int); create schema public_03_c"],
    );
    foreign.rig.rollback().unwrap();
    foreign.is_back();
}

#[test]
fn a_rollback_that_stopped_goes_on() {
    let foreign = Foreign::new("foreign_stopped", OPERATIONS, &[HALF, HALF_MORE]);
    // It holds the table that start made.
    sql(
        &foreign.rig.database,
        "set pgroll.no_inferred_migrations = 'TRUE'; create schema mine; create view mine.v as select id from public.u",
    );
    assert!(matches!(foreign.rig.rollback(), Err(RollError::Step(_))));
    sql(&foreign.rig.database, "drop schema mine cascade");
    block_on(async {
        let mut roll = Roll::lock(foreign.rig.options.clone()).await.unwrap();
        backlot::roll::resume(&mut roll, &Progress::default()).await.unwrap();
    });
    foreign.is_back();
}

#[test]
fn what_a_pgroll_may_have_begun_to_complete_is_left_to_it() {
    let drop_old = "drop schema public_02_b cascade";
    let drop_column = "alter table public.t drop column b cascade";
    for (name, last) in [
        ("foreign_old_gone", [drop_old].as_slice()),
        ("foreign_column_gone", &[drop_old, drop_column]),
        ("foreign_only_copy", &[drop_column]),
        ("foreign_no_views", &[drop_old, "drop schema public_03_c cascade", drop_column]),
        (
            "foreign_renamed",
            &[
                drop_old,
                "drop schema public_03_c cascade",
                drop_column,
                "alter table public.t rename column _pgroll_new_b to b",
            ],
        ),
    ] {
        let statements = [&[HALF, HALF_MORE], last].concat();
        Foreign::new(name, OPERATIONS, &statements).is_left_alone();
    }
}

#[test]
fn a_pgroll_at_work_is_not_disturbed() {
    let foreign = Foreign::new("foreign_at_work", OPERATIONS, &[HALF]);
    let pgroll = block_on(connect(&foreign.rig.database.url)).unwrap();
    block_on(pgroll.batch_execute("set application_name = 'pgroll-state'")).unwrap();
    let refused = foreign.rig.rollback();
    assert!(matches!(refused, Err(RollError::Busy { holder, .. }) if holder.contains("pgroll")));
}
