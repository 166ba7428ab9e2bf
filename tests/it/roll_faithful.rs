//! `pg_dump --schema-only` before and after `alter_column` of a column with everything on it: after start and complete
//! only the requested change differs, the order of columns aside; after start and rollback nothing does.

use std::process::Command;

use crate::support::{Cluster, Database, backlot, binaries, database, servers, sql};

/// `@c@` is the column, `@null@` its NOT NULL.
const EVERYTHING: &str = r#"
    do $$ begin create role faithful_app; exception when duplicate_object or unique_violation then null; end $$;
    do $$ begin create role faithful_other; exception when duplicate_object or unique_violation then null; end $$;
    create table owners (tenant int, id int, primary key (tenant, id));
    create table parent_of (inherited int);
    create function touch() returns trigger language plpgsql as 'begin return new; end';
    create function shout(t text) returns text immutable language sql as 'select upper(t)';
    create table thing (
        before_all text,
        id int generated always as identity (start with 100 increment by 5 cache 3),
        tenant int not null default 7,
        "Owner id" int,
        @c@ varchar(20) collate "C" default 'a' @null@ constraint thing_c_check check (@c@ <> '@c@ is not @c@'),
        amount numeric(10,2),
        twice numeric generated always as (amount * 2) stored,
        span int4range,
        constraint thing_pkey primary key (tenant, id),
        constraint thing_key unique (@c@) include (amount) with (fillfactor = 80),
        constraint thing_deferred unique (@c@, tenant) deferrable initially deferred,
        constraint thing_exclusion exclude using btree (@c@ with =, (tenant % 5) with =) where (amount > 3) deferrable,
        constraint thing_spans exclude using gist (span with &&),
        constraint thing_owner foreign key (tenant, "Owner id") references owners (tenant, id) match simple on update cascade deferrable initially deferred
    ) inherits (parent_of) with (fillfactor = 90, autovacuum_enabled = off);
    alter table thing add constraint thing_c_long check (length(@c@) < 1000 or amount is null) no inherit not valid;
    comment on table thing is 'things';
    comment on column thing.@c@ is 'it''s @c@';
    comment on constraint thing_key on thing is 'one each';
    comment on constraint thing_c_check on thing is 'not itself';
    create index thing_lower on thing (lower(@c@) desc nulls last, tenant) include (amount) with (fillfactor = 70) where @c@ <> '@c@';
    create unique index thing_pair on thing (tenant, @c@ text_pattern_ops);
    create index thing_collated on thing (@c@ collate "POSIX");
    create index thing_hash on thing using hash (@c@);
    create index thing_brin on thing using brin (@c@, tenant) with (pages_per_range = 16);
    create index thing_shout on thing ((shout(@c@)), (@c@ || 'x'));
    create unique index thing_few on thing (@c@) nulls not distinct;
    alter index thing_shout alter column 1 set statistics 99;
    comment on index thing_lower is 'for searches';
    create statistics thing_stats (dependencies, mcv) on tenant, @c@, amount from thing;
    create statistics thing_expressions on (lower(@c@)), tenant from thing;
    alter statistics thing_stats set statistics 55;
    comment on statistics thing_stats is 'of both';
    alter table thing alter column @c@ set statistics 77, alter column @c@ set storage external, alter column @c@ set compression pglz, alter column @c@ set (n_distinct = 5);
    grant select, update on thing to faithful_app;
    grant select (@c@, tenant), update (@c@) on thing to faithful_app;
    grant insert (@c@) on thing to faithful_other with grant option;
    grant references (@c@) on thing to public;
    alter table thing enable row level security;
    alter table thing force row level security;
    create policy thing_mine on thing for select to faithful_app, faithful_other using (@c@ = current_user and tenant > 0);
    create policy thing_strict on thing as restrictive for all using (exists (select from owners o where o.tenant = thing.tenant and thing.@c@ is not null)) with check (@c@ <> 'no');
    comment on policy thing_mine on thing is 'mine';
    create trigger thing_touch before update of @c@, tenant on thing for each row when (old.@c@ is distinct from new.@c@) execute function touch('arg');
    create trigger thing_disabled after insert on thing for each row when (new.@c@ <> 'x') execute function touch();
    create constraint trigger thing_late after insert on thing deferrable initially deferred for each row when (new.@c@ <> 'y') execute function touch();
    create trigger thing_statement after update on thing referencing new table as changed for each statement execute function touch();
    alter table thing enable always trigger thing_touch, disable trigger thing_disabled;
    comment on trigger thing_touch on thing is 'touches';
    create rule thing_keeps as on delete to thing where old.tenant = -1 do instead nothing;
    create view thing_codes with (security_barrier = true) as select id, @c@, tenant from thing;
    create view thing_codes_2 as select @c@ || '!' as loud from thing_codes;
    create view thing_invoked with (security_invoker = true) as select t.id, t.@c@ as renamed, o.id as owner from thing t left join owners o using (tenant) where t.@c@ like 'a%';
    create view thing_checked as select id, @c@ as renamed from thing where @c@ like 'a%' with local check option;
    alter view thing_codes alter column tenant set default 9;
    grant select on thing_codes_2 to faithful_app;
    grant select (id), update (@c@) on thing_codes to faithful_app with grant option;
    comment on view thing_codes is 'codes';
    comment on column thing_codes.@c@ is 'a code';
    create materialized view thing_totals as select tenant, sum(amount) as total from thing group by tenant;
    create unique index on thing_totals (tenant);
    create publication thing_list for table thing (id, @c@, tenant) with (publish = 'insert');
    create publication thing_filter for table thing where (@c@ <> 'x' and tenant > 2), owners with (publish = 'insert');
    create publication thing_all for all tables;
    alter table thing cluster on thing_pair;
    create table lines (c varchar(20) collate "C" constraint lines_c references thing (@c@) on delete set null, n int);
    alter table lines add constraint lines_late foreign key (c) references thing (@c@) on update cascade deferrable not valid;
    comment on constraint lines_c on lines is 'of a thing';
"#;

/// By itself: a table with deferred triggers that wait cannot be altered.
const ROWS: &str = r#"
    insert into owners values (7, 1), (7, 2);
    insert into thing ("Owner id", @c@, amount) values (1, 'b', 1), (2, 'c', 2), (null, 'd', 3);
    insert into lines values ('b', 1), (null, 2), ('c', 2);"#;

const SINCE_18: &str = "
    alter table thing add constraint thing_unenforced check (@c@ <> 'never') not enforced;
    alter table lines add constraint lines_unenforced foreign key (c) references thing (@c@) not enforced;
    alter table thing add column virtual text generated always as (before_all || '!') virtual;";

struct Rig {
    database: Database,
    dir: tempfile::TempDir,
}

impl Rig {
    fn new(cluster: &'static Cluster, name: &str, tables: &str) -> Self {
        let database = database(cluster, &format!("faithful_{name}"));
        let rig = Self { database, dir: tempfile::tempdir().unwrap() };
        rig.roll(&["init"]);
        sql(&rig.database, &format!("set pgroll.no_inferred_migrations = 'TRUE'; {tables}"));
        rig.roll(&["baseline", "00_base", "baselines"]);
        let first = "operations: [{create_table: {name: other, columns: [{name: id, type: int, pk: true}]}}]";
        rig.file("01_first", first);
        rig.roll(&["start", "01_first.yaml", "--complete"]);
        rig
    }

    fn with_everything(cluster: &'static Cluster, name: &str, column: &str, is_null: bool) -> Self {
        let mut tables = EVERYTHING.to_owned();
        if cluster.major >= 18 {
            tables.push_str(SINCE_18);
        }
        if !is_null {
            tables.push_str("alter table thing replica identity using index thing_few;");
        }
        let tables = tables.replace("@c@", column);
        let null = if is_null { "" } else { "not null" };
        let rig = Self::new(cluster, name, &tables.replace("@null@", null));
        sql(&rig.database, &ROWS.replace("@c@", column));
        rig
    }

    fn file(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(format!("{name}.yaml")), text).unwrap();
    }

    fn roll(&self, args: &[&str]) {
        let mut all = vec!["roll", "--postgres-url", &self.database.url];
        all.extend(args);
        backlot(self.dir.path(), &all, &[]).expect_code(0);
    }

    /// Versions' schemas and our state aside.
    fn dump(&self) -> Vec<String> {
        let newest = binaries().iter().rfind(|binaries| binaries.has_client_tools).unwrap();
        let output = Command::new(newest.program("pg_dump"))
            .args(["--schema-only", "--exclude-schema=pgroll", "--exclude-schema=public_*"])
            .args(["--dbname", &self.database.url])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let kept =
            |line: &&str| !(line.is_empty() || line.starts_with("--") || line.starts_with('\\'));
        text.lines().filter(kept).map(str::to_owned).collect()
    }

    /// `-` what went, `+` what came.
    #[track_caller]
    fn differs_by(&self, operations: &str, expected: &[&str]) {
        let before = self.dump();
        self.file("02_next", operations);
        self.roll(&["start", "02_next.yaml"]);
        self.roll(&["rollback"]);
        let major = self.database.cluster.major;
        assert_eq!(before, self.dump(), "PostgreSQL {major}: after rollback");
        self.roll(&["start", "02_next.yaml"]);
        self.roll(&["complete"]);
        let (before, after) = (sorted(&before), sorted(&self.dump()));
        let found = differences(&before, &after);
        assert_eq!(found, expected, "PostgreSQL {major}: {}\n{found:#?}", self.database.name);
    }
}

/// Without the order of columns: lines of CREATE TABLE have their comma taken off, and lists that follow the order of
/// columns are sorted.
fn sorted(lines: &[String]) -> Vec<String> {
    let mut lines =
        lines.iter().map(|line| sorted_list(line.trim_end_matches(','))).collect::<Vec<_>>();
    lines.sort();
    lines
}

/// A publication's columns, and those of a statistics object.
fn sorted_list(line: &str) -> String {
    let (start, end) = if line.starts_with("ALTER PUBLICATION") {
        (line.find(" ("), line.find(')'))
    } else if line.starts_with("CREATE STATISTICS") {
        (line.find(" ON ").map(|at| at + 2), line.find(" FROM "))
    } else {
        (None, None)
    };
    let (Some(start), Some(end)) = (start, end) else { return line.to_owned() };
    if line[..start].contains("WHERE") || end < start {
        return line.to_owned();
    }
    let mut names = line[start + 2..end].split(", ").collect::<Vec<_>>();
    names.sort_unstable();
    format!("{} {} {}", &line[..start], names.join(", "), &line[end..])
}

fn differences(before: &[String], after: &[String]) -> Vec<String> {
    let left = |lines: &[String], others: &[String], sign: &str| {
        let mut others = others.to_vec();
        let mut left = Vec::new();
        for line in lines {
            match others.iter().position(|other| other == line) {
                Some(at) => drop(others.remove(at)),
                None => left.push(format!("{sign}{line}")),
            }
        }
        left
    };
    let mut all = left(before, after, "-");
    all.extend(left(after, before, "+"));
    all
}

#[test]
fn a_check_changes_nothing_else() {
    for cluster in servers() {
        let rig = Rig::with_everything(cluster, "check", "code", false);
        rig.differs_by(
            "operations: [{alter_column: {table: thing, column: code, check: {name: short, constraint: length(code) < 30}, up: code, down: code}}]",
            &["+    CONSTRAINT short CHECK ((length((code)::text) < 30))"],
        );
    }
}

#[test]
fn not_null_changes_nothing_else() {
    for cluster in servers() {
        // A name that has to be quoted.
        let rig = Rig::with_everything(cluster, "not_null", "\"C o\"", true);
        rig.differs_by(
            "operations: [{alter_column: {table: thing, column: C o, nullable: false, up: 'coalesce(\"C o\", ''-'')', down: '\"C o\"'}}]",
            &[
                "-    \"C o\" character varying(20) DEFAULT 'a'::character varying COLLATE pg_catalog.\"C\"",
                "+    \"C o\" character varying(20) DEFAULT 'a'::character varying NOT NULL COLLATE pg_catalog.\"C\"",
            ],
        );
    }
}

#[test]
fn nullable_changes_nothing_else() {
    for cluster in servers() {
        let rig = Rig::with_everything(cluster, "nullable", "code", false);
        // An index with a nullable column is no replica identity.
        sql(&rig.database, "alter table thing replica identity default");
        rig.differs_by(
            "operations: [{alter_column: {table: thing, column: code, nullable: true, up: code, down: 'coalesce(code, ''none'')'}}]",
            &[
                "-    code character varying(20) DEFAULT 'a'::character varying NOT NULL COLLATE pg_catalog.\"C\"",
                "+    code character varying(20) DEFAULT 'a'::character varying COLLATE pg_catalog.\"C\"",
            ],
        );
    }
}

#[test]
fn a_type_changes_nothing_else() {
    for cluster in servers() {
        let rig = Rig::with_everything(cluster, "type", "code", false);
        rig.differs_by(
            "operations: [{alter_column: {table: thing, column: code, type: varchar(40), up: code, down: code}}]",
            &[
                "-    code character varying(20) DEFAULT 'a'::character varying NOT NULL COLLATE pg_catalog.\"C\"",
                "+    code character varying(40) DEFAULT 'a'::character varying NOT NULL COLLATE pg_catalog.\"C\"",
            ],
        );
    }
}

#[test]
fn unique_default_and_comment_change_nothing_else() {
    for cluster in servers() {
        let rig = Rig::with_everything(cluster, "unique", "code", false);
        rig.differs_by(
            "operations: [{alter_column: {table: thing, column: code, unique: {name: once_more}, default: \"'b'\", comment: new}}]",
            &[
                "-    code character varying(20) DEFAULT 'a'::character varying NOT NULL COLLATE pg_catalog.\"C\"",
                "-COMMENT ON COLUMN public.thing.code IS 'it''s code';",
                "+    ADD CONSTRAINT once_more UNIQUE (code);",
                "+    code character varying(20) DEFAULT 'b'::character varying NOT NULL COLLATE pg_catalog.\"C\"",
                "+ALTER TABLE ONLY public.thing",
                "+COMMENT ON COLUMN public.thing.code IS 'new';",
            ],
        );
    }
}

#[test]
fn keys_and_their_sequences_change_as_asked_and_nothing_else_does() {
    for cluster in servers() {
        let rig = Rig::with_everything(cluster, "keys", "code", false);
        sql(
            &rig.database,
            "create table counted (num serial primary key, m int not null default 5, owner int);
             create sequence counted_m_seq owned by counted.m;
             alter table counted alter column m set default nextval('counted_m_seq') * 2;
             comment on sequence counted_num_seq is 'counts';
             grant usage on sequence counted_m_seq to faithful_app;
             create table counts (n int references counted (num) deferrable);
             alter table owners add constraint one_id unique (id);",
        );
        rig.differs_by(
            "operations:
  - alter_column: {table: thing, column: id, type: bigint, up: id, down: id}
  - alter_column: {table: counted, column: num, check: {name: more, constraint: num > 0}, up: num, down: num}
  - alter_column: {table: counted, column: m, nullable: true, down: 'coalesce(m, 0)'}
  - alter_column: {table: counted, column: owner, references: {name: owned, table: owners, column: id, on_delete: CASCADE}, up: owner, down: owner}
",
            &[
                "-    id integer NOT NULL",
                "-    m integer NOT NULL",
                "+    ADD CONSTRAINT owned FOREIGN KEY (owner) REFERENCES public.owners(id) ON DELETE CASCADE;",
                "+    CONSTRAINT more CHECK ((num > 0))",
                "+    id bigint NOT NULL",
                "+    m integer",
                "+ALTER TABLE ONLY public.counted",
            ],
        );
    }
}

#[test]
fn a_partitioned_table_keeps_what_was_not_asked_for() {
    for cluster in servers() {
        let rig = Rig::new(
            cluster,
            "parts",
            "do $$ begin create role faithful_app; exception when duplicate_object or unique_violation then null; end $$;
             create table event (id int not null, at date not null, code varchar(20) collate \"C\" not null default 'a' check (code <> 'x'), note text,
                 constraint event_pkey primary key (at, id), constraint event_code unique (code, at)) partition by range (at);
             create table event_1 partition of event for values from ('2024-01-01') to ('2025-01-01');
             create table event_2 (note text, code varchar(20) collate \"C\" not null default 'b' constraint event_code_check check (code <> 'x'), at date not null, id int not null);
             alter table event attach partition event_2 for values from ('2025-01-01') to ('2026-01-01');
             create table event_rest partition of event default with (fillfactor = 70);
             create index event_lower on event (lower(code) desc) where code <> 'y';
             create index event_note on event (note) include (code);
             comment on column event.code is 'a code';
             grant select (code) on event to faithful_app;
             comment on column event_1.code is 'of the first year';
             grant update (code) on event_2 to faithful_app;
             alter table event alter column code set statistics 50;
             alter table event_1 alter column code set statistics 60, alter column code set storage external, alter column code drop default;
             create policy mine on event using (code = current_user);
             create function touch() returns trigger language plpgsql as 'begin return new; end';
             create trigger touched before update of code on event for each row execute function touch();
             create view codes as select code from event;
             insert into event select n, '2024-06-01'::date + n, 'c' || n, null from generate_series(1, 900) n;",
        );
        rig.differs_by(
            "operations: [{alter_column: {table: event, column: code, check: {name: short, constraint: length(code) < 30}, up: code, down: code}}]",
            // The table and its three partitions.
            &["+    CONSTRAINT short CHECK ((length((code)::text) < 30))"; 4],
        );
    }
}

#[test]
fn what_cannot_be_carried_is_refused_before_anything_is_changed() {
    for cluster in servers() {
        let rig = Rig::with_everything(cluster, "refused", "code", false);
        let refused = |column: &str, what: &str| {
            let before = rig.dump();
            let file = format!(
                "operations: [{{alter_column: {{table: thing, column: {column}, nullable: true, up: {column}, down: {column}, check: {{name: x, constraint: {column} is not null}}}}}}]"
            );
            rig.file("02_next", &file.replace("nullable: true, ", ""));
            let args = ["roll", "start", "02_next.yaml", "--postgres-url", &rig.database.url];
            let output = backlot(rig.dir.path(), &args, &[]).expect_code(2);
            assert!(output.stderr.contains(what), "{}", output.stderr);
            assert_eq!(before, rig.dump());
        };
        // The materialized view and the generated column read it.
        refused("amount", "materialized view public.thing_totals");
        refused("inherited", "comes from a parent table");
        refused("twice", "is generated");
    }
}
