//! Every script of `tests/specs/convert`: cases with an empty line between them, and beside them
//! what each becomes. `UPDATE_EXPECT=1` writes what they become now.

use super::{Conversion, PLACEHOLDER, convert, is_placeholder};
use crate::migrate::file::{Form, Migration, read, write};
use crate::migrate::operation::Operation;
use expect_test::expect_file;
use std::fmt::Write as _;

const CREATE_TABLE: &str = include_str!("../../../tests/specs/convert/create_table.sql");
const ALTER_TABLE: &str = include_str!("../../../tests/specs/convert/alter_table.sql");
const OTHER: &str = include_str!("../../../tests/specs/convert/other.sql");
const SCRIPT: &str = include_str!("../../../tests/specs/convert/script.sql");

fn converted(sql: &str) -> Conversion {
    convert(sql, "script.sql", "public").unwrap_or_else(|fault| panic!("{sql}\n{fault}"))
}

fn cases(text: &str) -> impl Iterator<Item = &str> {
    text.split("\n\n").map(str::trim)
}

fn migration(conversion: &Conversion) -> Migration {
    let operations = conversion.operations.clone();
    Migration { name: "m".to_owned(), version_schema: None, operations }
}

fn shown(text: &str) -> String {
    let mut shown = String::new();
    for sql in cases(text) {
        let conversion = converted(sql);
        for line in sql.lines() {
            let _ = writeln!(shown, "# {line}");
        }
        for note in &conversion.notes {
            let _ = writeln!(shown, "#   {}", note.to_string().replace("\n  ", "\n#     "));
        }
        let _ = writeln!(shown, "{}", write(&migration(&conversion), Form::Yaml));
    }
    shown
}

#[test]
fn statements_become_what_the_corpus_says() {
    expect_file!["../../../tests/specs/convert/create_table.yaml"].assert_eq(&shown(CREATE_TABLE));
    expect_file!["../../../tests/specs/convert/alter_table.yaml"].assert_eq(&shown(ALTER_TABLE));
    expect_file!["../../../tests/specs/convert/other.yaml"].assert_eq(&shown(OTHER));
    expect_file!["../../../tests/specs/convert/script.yaml"].assert_eq(&shown(SCRIPT));
}

#[test]
fn what_is_converted_reads_back_unless_something_is_left_to_write() {
    let (mut count, mut unfinished) = (0, 0);
    for sql in [CREATE_TABLE, ALTER_TABLE, OTHER, SCRIPT].into_iter().flat_map(cases) {
        count += 1;
        let migration = migration(&converted(sql));
        let text = write(&migration, Form::Yaml);
        if text.contains(PLACEHOLDER) {
            unfinished += 1;
            let found = read(&text, "m.yaml").expect_err("a placeholder");
            assert!(
                found.iter().all(|mistake| mistake.to_string().contains("still to be written"))
            );
        } else {
            assert_eq!(
                read(&text, "m.yaml").expect("no placeholder").migration,
                migration,
                "{sql}"
            );
        }
    }
    assert!(count >= 200, "{count} cases");
    // A NOT NULL column without a default, and constraints whose columns nobody knows.
    assert_eq!(unfinished, 3);
}

#[test]
fn a_statement_that_is_not_converted_says_why() {
    for sql in [CREATE_TABLE, ALTER_TABLE, OTHER].into_iter().flat_map(cases) {
        let conversion = converted(sql);
        if conversion.operations.iter().any(|one| matches!(one, Operation::Sql(_))) {
            assert!(!conversion.notes.is_empty(), "{sql}");
        }
    }
}

#[test]
fn a_script_that_is_not_sql_is_refused_at_its_place() {
    let fault = convert("SELECT 1;\n\nALTER TABEL t ADD c int;", "s.sql", "public").unwrap_err();
    assert_eq!((fault.line, fault.column), (3, 7), "{fault}");
    assert!(convert("", "s.sql", "public").expect("nothing").operations.is_empty());
}

#[test]
fn the_migrated_schema_is_left_out_of_names() {
    let conversion = convert("DROP TABLE sales.t", "s.sql", "sales").expect("valid");
    assert!(matches!(&conversion.operations[..], [Operation::DropTable(drop)] if drop.name == "t"));
}

#[test]
fn placeholders_of_both_programs_are_known() {
    assert!(is_placeholder(" TODO: Implement SQL data migration\n") && is_placeholder(PLACEHOLDER));
    assert!(!is_placeholder("'TODO'"));
}
