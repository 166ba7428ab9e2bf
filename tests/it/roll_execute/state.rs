//! The state schema: ours, pgroll's, and what a role may do.

use backlot::{
    roll::{RollError, Status},
    state::roll::{Capture, Phase},
};

use super::rig::{Rig, add_doubled, by};
use crate::support::{database::block_on, query_strings, query_value, servers, sql};

/// As pgroll 0.16 leaves a database after `init` and two migrations, as far as tables go.
pub(super) const PGROLLS: &str = "
    create schema pgroll;
    create table pgroll.migrations (
        schema name not null, name text not null, migration jsonb not null,
        created_at timestamptz not null default current_timestamp,
        updated_at timestamptz not null default current_timestamp,
        parent text, done boolean not null default false,
        resulting_schema jsonb not null default '{}', migration_type varchar(32) default 'pgroll'
            constraint migration_type_check check (migration_type in ('pgroll', 'inferred', 'baseline')),
        primary key (schema, name), foreign key (schema, parent) references pgroll.migrations (schema, name));
    create unique index history_is_linear on pgroll.migrations (schema, parent);
    create table pgroll.pgroll_version (version text not null primary key, initialized_at timestamptz not null default now());
    insert into pgroll.pgroll_version values ('v0.16.2');
    create table public.t (a int primary key);
    create schema public_02_b;
    insert into pgroll.migrations (schema, name, migration, parent, done) values
        ('public', '01_a', '{\"operations\": []}', null, true),
        ('public', '02_b', '{\"operations\": []}', '01_a', true);";

#[test]
fn init_may_run_again_and_leaves_what_is_there() {
    for cluster in servers() {
        let rig = Rig::new(cluster, "roll_init");
        sql(&rig.database, "create table public.t (a int primary key)");
        rig.start("01", &add_doubled(by(&["a"]))).unwrap();
        assert_eq!(rig.init(), Capture::Running);
        let rows = "select name, done from pgroll.migrations where migration_type = 'pgroll'";
        assert_eq!(query_strings(&rig.database, rows), [["01", "f"]]);
        assert_eq!(
            query_value(&rig.database, "select version from pgroll.pgroll_version"),
            "development"
        );
    }
}

#[test]
fn a_history_that_pgroll_began_goes_on() {
    for cluster in servers() {
        let rig = Rig::bare(cluster, "roll_pgroll");
        sql(&rig.database, PGROLLS);
        rig.init();
        let status = || {
            block_on(async {
                let roll = backlot::roll::Roll::open(rig.options.clone()).await.unwrap();
                Status::read(&roll).await.unwrap()
            })
        };
        assert_eq!(status().version.as_deref(), Some("02_b"));
        assert_eq!((status().word(), status().migration_count), ("Complete", 2));
        rig.start("03_c", &add_doubled(by(&["a"]))).unwrap();
        assert_eq!(status().active.unwrap().phase, Some(Phase::Active));
        rig.complete().unwrap();
        let last = "select parent, done, resulting_schema -> 'tables' -> 't' -> 'columns' -> 'b' ->> 'type' \
                    from pgroll.migrations where name = '03_c'";
        assert_eq!(query_strings(&rig.database, last), [["02_b", "t", "integer"]]);
        // It is still the database of that pgroll.
        assert_eq!(
            query_value(&rig.database, "select version from pgroll.pgroll_version"),
            "v0.16.2"
        );
    }
}

#[test]
fn a_migration_that_pgroll_has_under_way_is_left_to_it() {
    let cluster = servers().next().unwrap();
    let rig = Rig::bare(cluster, "roll_foreign");
    sql(&rig.database, PGROLLS);
    sql(&rig.database, "update pgroll.migrations set done = false where name = '02_b'");
    rig.init();
    for result in [rig.complete().map(drop), rig.start("03", &add_doubled(by(&["a"])))] {
        assert!(matches!(result, Err(RollError::Foreign { name }) if name == "02_b"));
    }
    // Its old version is gone.
    let result = rig.rollback();
    assert!(matches!(result, Err(RollError::ForeignCompleting { name }) if name == "02_b"));
}

#[test]
fn tables_without_a_history_need_a_baseline() {
    let cluster = servers().next().unwrap();
    let rig = Rig::bare(cluster, "roll_baseline");
    sql(&rig.database, "create table public.t (a int primary key)");
    rig.init();
    let refused = rig.start("01", &add_doubled(by(&["a"])));
    assert!(matches!(refused, Err(RollError::NeedsBaseline { .. })));
    let roll = rig.lock().unwrap();
    block_on(roll.state().baseline("00_base", r#"{"operations": []}"#)).unwrap();
    drop(roll);
    rig.start("01", &add_doubled(by(&["a"]))).unwrap();
}

#[test]
fn without_init_nothing_runs() {
    let cluster = servers().next().unwrap();
    let rig = Rig::bare(cluster, "roll_uninitialised");
    assert!(matches!(rig.lock(), Err(RollError::NotInitialised { state }) if state == "pgroll"));
}

#[test]
fn two_verbs_at_the_same_time_are_refused() {
    let cluster = servers().next().unwrap();
    let rig = Rig::new(cluster, "roll_busy");
    let held = rig.lock().unwrap();
    let Err(RollError::Busy { holder, .. }) = rig.lock() else { panic!("not refused") };
    assert!(holder.contains("backlot roll"), "{holder}");
    drop(held);
    rig.lock().unwrap();
}

#[test]
fn a_role_that_is_no_superuser_migrates_without_capture() {
    for cluster in servers() {
        let mut rig = Rig::bare(cluster, "roll_role");
        let owner = format!("{}_owner", rig.database.name);
        sql(
            &rig.database,
            &format!(
                "create role \"{owner}\" login; grant create on database \"{}\" to \"{owner}\";
                 grant create on schema public to \"{owner}\"; set role \"{owner}\";
                 create table public.t (a int primary key); insert into public.t select generate_series(1, 1000)",
                rig.database.name
            ),
        );
        rig.options.server.user.clone_from(&owner);
        assert_eq!(rig.init(), Capture::NotAllowed);
        let roll = rig.lock().unwrap();
        block_on(roll.state().baseline("00", r#"{"operations": []}"#)).unwrap();
        drop(roll);
        rig.start("01", &add_doubled(by(&["a"]))).unwrap();
        let wrong = "select count(*) from public_01.t where b is distinct from a * 2";
        assert_eq!(query_value(&rig.database, wrong), "0");
        rig.complete().unwrap();
    }
}

#[test]
fn the_document_of_a_schema_names_keys_in_their_order() {
    for cluster in servers() {
        let rig = Rig::new(cluster, "roll_read_schema");
        sql(
            &rig.database,
            "create type mood as enum ('sad', 'glad');
             create table p (x int, y int, primary key (y, x));
             create table t (b int, a int, m mood, s varchar(40) default 'q', at timestamptz[], u int unique,
                primary key (b, a), check (a > b), foreign key (b, a) references p (x, y) on delete cascade,
                exclude using btree (u with =) where (u > 1));
             create index partial on t (a desc) include (s) where a > 3;
             comment on table t is 'tee'; comment on column t.s is 'es';
             alter table p add unique (y, x);
             drop table if exists nothing",
        );
        let of = |path: &str| {
            let text = format!("select pgroll.read_schema('public') #>> '{{tables,{path}}}'");
            query_value(&rig.database, &text)
        };
        assert_eq!(of("p,primaryKey"), r#"["y", "x"]"#);
        assert_eq!(of("t,primaryKey"), r#"["b", "a"]"#);
        assert_eq!(of("t,foreignKeys,t_b_a_fkey,columns"), r#"["b", "a"]"#);
        assert_eq!(of("t,foreignKeys,t_b_a_fkey,referencedColumns"), r#"["x", "y"]"#);
        assert_eq!(of("t,foreignKeys,t_b_a_fkey,onDelete"), "CASCADE");
        assert_eq!(of("t,foreignKeys,t_b_a_fkey,referencedTable"), "p");
        assert_eq!(of("t,columns,s,type"), "varchar(40)");
        assert_eq!(of("t,columns,at,type"), "timestamptz[]");
        assert_eq!(of("t,columns,m,enumvalues"), r#"["sad", "glad"]"#);
        assert_eq!(of("t,columns,m,postgrestype"), "enum");
        assert_eq!(of("t,columns,u,unique"), "true");
        assert_eq!(of("t,columns,a,unique"), "false");
        assert_eq!(of("t,columns,a,nullable"), "false");
        assert_eq!(of("t,columns,s,comment"), "es");
        assert_eq!(of("t,comment"), "tee");
        assert_eq!(of("t,indexes,partial,columns"), r#"["a"]"#);
        assert_eq!(of("t,indexes,partial,predicate"), "(a > 3)");
        assert_eq!(of("t,checkConstraints,t_check,definition"), "CHECK ((a > b))");
        assert_eq!(of("t,excludeConstraints,t_u_excl,method"), "btree");
        assert_eq!(of("t,uniqueConstraints,t_u_key,columns"), r#"["u"]"#);
        assert_eq!(of("t,name"), "t");
    }
}
