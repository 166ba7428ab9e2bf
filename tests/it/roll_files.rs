//! `roll convert`, `lint`, `plan` and `update`, as a user types them.

use crate::support::{Cluster, backlot, database, query_value, servers, sql};
use std::fs;

fn newest() -> &'static Cluster {
    servers().last().unwrap()
}

#[test]
fn what_convert_writes_runs_as_it_is() {
    let database = database(newest(), "roll_convert");
    let dir = tempfile::tempdir().unwrap();
    let env = [("PGROLL_PG_URL", database.url.as_str())];
    let run = |args: &[&str]| backlot(dir.path(), args, &env).expect_code(0);
    let scripts = [
        (
            "01_first",
            "CREATE TABLE teams (id int PRIMARY KEY); CREATE TABLE users (id int, email text, \
             age int, note varchar(20)); ALTER TABLE users ADD PRIMARY KEY (id);",
        ),
        ("02_type", "ALTER TABLE users ALTER age TYPE bigint, ALTER email SET NOT NULL;"),
        (
            "03_more",
            "ALTER TABLE users ADD COLUMN team int NOT NULL DEFAULT 0, ADD COLUMN tag text;",
        ),
        ("04_unique", "ALTER TABLE users ADD CONSTRAINT one_email UNIQUE (email);"),
        ("05_check", "ALTER TABLE users ADD CHECK (age > 0);"),
        (
            "06_key",
            "ALTER TABLE users ALTER COLUMN team DROP DEFAULT; CREATE INDEX ON users (team);",
        ),
    ];
    run(&["roll", "init"]);
    for (name, script) in scripts {
        fs::write(dir.path().join("script.sql"), script).unwrap();
        let converted = run(&["roll", "convert", "script.sql"]);
        let file = format!("{name}.yaml");
        fs::write(dir.path().join(&file), &converted.stdout).unwrap();
        run(&["roll", "lint", &file]);
        let plan = run(&["--json", "roll", "plan", &file]).json();
        assert_eq!(plan["plan"]["version_schema"], format!("public_{name}"));
        assert!(run(&["roll", "plan", &file]).stdout.contains("\nviews\n"), "{name}");
        run(&["roll", "start", &file, "--complete"]);
        if name == "01_first" {
            sql(&database, "insert into users values (1, 'a@b', 7, 'x'), (2, 'c@d', 8, null)");
        }
    }
    let columns = "select string_agg(attname || ' ' || format_type(atttypid, atttypmod) || \
                   case when attnotnull then '!' else '' end, ', ' order by attname) \
                   from pg_attribute where attrelid = 'users'::regclass and attnum > 0 and not attisdropped";
    let wanted =
        "age bigint, email text!, id integer!, note character varying(20), tag text, team integer!";
    assert_eq!(query_value(&database, columns), wanted);
    let constraints = "select string_agg(conname, ', ' order by conname) from pg_constraint \
                       where conrelid = 'users'::regclass and contype <> 'n'";
    assert_eq!(query_value(&database, constraints), "one_email, users_age_check, users_pkey");
    assert_eq!(query_value(&database, "select sum(age) from users"), "15");
}

#[test]
fn plan_and_lint_know_the_tables() {
    let database = database(newest(), "roll_lint");
    let dir = tempfile::tempdir().unwrap();
    let env = [("PGROLL_PG_URL", database.url.as_str())];
    backlot(dir.path(), &["roll", "init"], &env).expect_code(0);
    let first =
        "operations:\n- create_table:\n    name: t\n    columns:\n    - {name: a, type: bigint}\n";
    fs::write(dir.path().join("1.yaml"), first).unwrap();
    backlot(dir.path(), &["roll", "start", "1.yaml", "-c"], &env).expect_code(0);
    sql(&database, "insert into t select generate_series(1, 1000); analyze t");
    let second = "operations:\n- alter_column:\n    table: t\n    column: a\n    type: text\n    up: a::text\n    down: a::bigint\n";
    fs::write(dir.path().join("2.yaml"), second).unwrap();
    let plan = backlot(dir.path(), &["--json", "roll", "plan", "2.yaml"], &env).expect_code(0);
    let estimate = &plan.json()["estimates"]["backfill/public.t"];
    assert_eq!(estimate["rows"], 1000, "{}", plan.stdout);
    let lints = |args: &[&str], code| {
        let mut all = vec!["--json", "roll", "lint", "2.yaml"];
        all.extend(args);
        let document = backlot(dir.path(), &all, &env).expect_code(code).json();
        let lints = document["lints"].as_array().unwrap().clone();
        lints.iter().map(|lint| lint["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(lints(&[], 0), ["backfill-without-key"]);
    assert_eq!(lints(&["--offline"], 0), [""; 0]);
    assert_eq!(lints(&["--ignore", "backfill-without-key"], 0), [""; 0]);
}

#[test]
fn lint_fails_where_it_is_asked_to_and_names_the_place() {
    let dir = tempfile::tempdir().unwrap();
    let file =
        "operations:\n- drop_table: {name: t}\n- sql:\n    up: TRUNCATE u\n    down: SELECT 1\n";
    fs::write(dir.path().join("1.yaml"), file).unwrap();
    let plain = backlot(dir.path(), &["roll", "lint", "1.yaml"], &[]).expect_code(0);
    assert!(plain.stdout.contains("1.yaml:4:9: warning: "), "{}", plain.stdout);
    assert!(plain.stdout.contains("[sql-truncate]"), "{}", plain.stdout);
    backlot(dir.path(), &["roll", "lint", "1.yaml", "--strict"], &[]).expect_code(7);
    let lenient = ["roll", "lint", ".", "--strict", "--ignore", "sql-truncate"];
    backlot(dir.path(), &lenient, &[]).expect_code(0);
    backlot(dir.path(), &["roll", "lint", ".", "--ignore", "sql-tru"], &[]).expect_code(2);
    assert!(backlot(dir.path(), &["roll", "lint", "--rules"], &[]).stdout.lines().count() > 40);
}

#[test]
fn a_placeholder_is_refused_at_its_place() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("s.sql"), "ALTER TABLE t ADD COLUMN c int NOT NULL").unwrap();
    let converted = backlot(dir.path(), &["roll", "convert", "s.sql"], &[]).expect_code(0);
    assert!(converted.stderr.contains("s.sql:1:1: warning:"), "{}", converted.stderr);
    fs::write(dir.path().join("1.yaml"), converted.stdout).unwrap();
    let refused = backlot(dir.path(), &["roll", "lint", "1.yaml"], &[]).expect_code(2);
    assert!(
        refused.stderr.contains("1.yaml:7:9: error: `add_column.up` is still to be written"),
        "{}",
        refused.stderr
    );
    fs::write(dir.path().join("s.sql"), "ALTER TABEL t").unwrap();
    let refused = backlot(dir.path(), &["roll", "convert", "s.sql"], &[]).expect_code(2);
    assert!(refused.stderr.contains("s.sql:1:7: error: syntax error"), "{}", refused.stderr);
}

#[test]
fn update_rewrites_older_forms_in_their_own_form() {
    let dir = tempfile::tempdir().unwrap();
    let old = "operations:\n- create_index: {name: i, table: t, columns: [b, a]}\n";
    let json =
        r#"{"operations": [{"create_index": {"name": "i", "table": "t", "columns": {"b": {}}}}]}"#;
    fs::write(dir.path().join("1.yaml"), old).unwrap();
    fs::write(dir.path().join("2.json"), json).unwrap();
    fs::write(dir.path().join("3.yaml"), "operations: [] # as it is\n").unwrap();
    let updated =
        backlot(dir.path(), &["--json", "roll", "update", "."], &[]).expect_code(0).json();
    assert_eq!(updated["updated"], serde_json::json!(["./1.yaml", "./2.json"]));
    let text = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    assert!(text("1.yaml").contains("    - column: b\n    - column: a\n"), "{}", text("1.yaml"));
    assert!(text("2.json").contains("\"column\": \"b\""), "{}", text("2.json"));
    assert_eq!(text("3.yaml"), "operations: [] # as it is\n");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
}
