//! The runner itself: what a case gets wrong must not pass.

use std::{collections::BTreeSet, fs};

use super::{
    FILES,
    case::{File, directory},
    run::run_file,
};
use crate::support::servers;

/// A case that passes.
const RIGHT: &str = "
setup: create table users (id int primary key, name text)
data: insert into users values (1, 'ann'), (2, null)
cases:
- name: one
  migrations:
  - |
    operations:
    - add_column: {table: users, column: {name: shout, type: text, nullable: true}, up: upper(name)}
  after_start:
  - old: insert into users (id, name) values (3, 'bob')
  - new: select id, shout from users order by id
    rows: ['1|ANN', '2|∅', '3|BOB']
  - new: insert into users (id) values (1)
    fails: '23505'
  - has: [column users._pgroll_new_shout, view new.users]
  after_rollback:
  - sql: select count(*) from users
    rows: ['3']
  after_complete:
  - new: select shout from users where id = 3
    rows: [BOB]
  - has_not: [view old.users]
";

/// A case that is refused.
const REFUSED: &str = "
setup: create table users (id int primary key)
cases:
- name: one
  migrations: ['operations: [{drop_column: {table: users, column: name}}]']
  error: {kind: ColumnDoesNotExist, table: users, column: name}
";

/// A case whose start fails.
const FAILING: &str = "
setup: create table users (id int primary key, name text)
data: insert into users values (1, 'ann'), (2, null)
cases:
- name: one
  migrations: ['operations: [{add_column: {table: users, column: {name: size, type: int}, up: length(name)}}]']
  start_fails: '23514'
";

fn failures(text: &str) -> Vec<String> {
    let file = File::read(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    run_file(servers().last().unwrap(), "strict", &file, |_| true)
}

/// `text` with one thing changed, which must be noticed with these words.
fn check_noticed(text: &str, from: &str, to: &str, words: &str) {
    assert!(text.contains(from), "{from}");
    let found = failures(&text.replace(from, to));
    let [failure] = found.as_slice() else { panic!("{from} -> {to}: {found:?}") };
    assert!(failure.contains(words), "{from} -> {to}: {failure}");
}

#[test]
fn every_file_of_the_directory_is_run() {
    let entries = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().file_name());
    let found: BTreeSet<String> = entries.map(|name| name.into_string().unwrap()).collect();
    let listed: BTreeSet<String> = FILES.iter().map(|name| format!("{name}.yaml")).collect();
    assert_eq!(found, listed);
}

#[test]
fn a_right_case_passes_and_every_wrong_expectation_is_noticed() {
    for text in [RIGHT, REFUSED, FAILING] {
        assert_eq!(failures(text), Vec::<String>::new());
    }
    let wrong = [
        ("'3|BOB'", "'3|Bob'", "after_start[1]"),
        ("'2|∅', ", "", "after_start[1]"),
        ("fails: '23505'", "fails: '23514'", "after_start[2]"),
        ("(id) values (1)", "(id) values (4)", "did not fail with 23505"),
        ("(3, 'bob')", "(1, 'bob')", "after_start[0]"),
        ("column users._pgroll_new_shout", "column users.shout", "after_start[3]"),
        ("rows: ['3']", "rows: ['2']", "after_rollback[0]"),
        ("rows: [BOB]", "rows: [bob]", "after_complete[0]"),
        ("has_not: [view old.users]", "has_not: [view new.users]", "after_complete[1]"),
        ("nullable: true", "nullable: false", "start: "),
        ("up: upper(name)", "up: uper(name)", "InvalidExpression"),
    ];
    for (from, to, words) in wrong {
        check_noticed(RIGHT, from, to, words);
    }
    let other_rows = "rows: ['2']\n  - sql: create table more (id int)";
    check_noticed(
        &RIGHT.replace("rows: ['3']", other_rows),
        "select count(*)",
        "select count(*) - 1",
        "left a difference",
    );
    let left = "rows: [BOB]\n  - sql: alter table users add column _pgroll_left int";
    check_noticed(RIGHT, "rows: [BOB]", left, "complete left");
}

#[test]
fn a_wrong_refusal_is_noticed() {
    let wrong = [
        ("kind: ColumnDoesNotExist", "kind: ColumnAlreadyExists"),
        ("table: users, column: name}\n", "table: users, column: id}\n"),
        ("table: users, column: name}\n", "table: other}\n"),
        ("table: users, column: name}\n", "field: up}\n"),
        ("table: users, column: name}\n", "says: nothing of this}\n"),
    ];
    for (from, to) in wrong {
        check_noticed(REFUSED, from, to, "expected Refusal");
    }
    check_noticed(REFUSED, "column: name}}]", "column: name, x: 1}}]", "InvalidMigration");
    check_noticed(
        REFUSED,
        "(id int primary key)",
        "(id int primary key, name text)",
        "found nothing wrong",
    );
    check_noticed(FAILING, "'23514'", "'22012'", "did not fail with 22012");
    check_noticed(FAILING, "length(name)", "length(concat(name))", "did not fail with 23514");
}

#[test]
fn a_case_that_says_nothing_or_too_much_is_no_case() {
    let wrong = [
        ("name: one\n", "name: one\n  nmae: two\n", "nmae"),
        ("    rows: ['3']\n", "", "a query without rows"),
        ("    fails: '23505'\n", "    fails: '235'\n", "no SQLSTATE"),
        ("    fails: '23505'\n", "    fails: '23505'\n    rows: []\n", "gives rows and fails"),
        ("  - has_not: [view old.users]", "  - has_not: []", "asks for no object"),
        ("view old.users", "view users", "no object"),
        ("view old.users", "view public.users", "of the old or the new version"),
        ("has: [", "has: [colum users.id, ", "no object"),
        ("after_start:", "error: {kind: FieldRequired}\n  after_start:", "does not start"),
        ("after_start:", "start_fails: '23505'\n  after_start:", "has no version"),
    ];
    for (from, to, words) in wrong {
        assert!(RIGHT.contains(from), "{from}");
        let read = File::read(&RIGHT.replace(from, to));
        let error = read.err().unwrap_or_else(|| panic!("{from} -> {to}: read"));
        assert!(error.contains(words), "{from} -> {to}: {error}");
    }
    let end = RIGHT.find("  after_complete").unwrap();
    let error = File::read(&RIGHT[..end]).err().unwrap();
    assert!(error.contains("nothing is expected"), "{error}");
}
