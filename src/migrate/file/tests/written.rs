//! What is written reads back as the same, and looks as pgroll writes it.

use super::*;
use crate::migrate::operation::{
    AddColumn, AlterColumn, CheckConstraint, Column, CreateConstraint, CreateIndex, CreateTable,
    DropConstraint, DropTable, IndexColumn, RawSql, SetReplicaIdentity,
};
use expect_test::expect;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn migration(operations: Vec<Operation>) -> Migration {
    Migration { name: "07_thing".to_owned(), version_schema: None, operations }
}

fn sample() -> Migration {
    let column = Column {
        name: "total".to_owned(),
        type_name: "numeric(10,2)".to_owned(),
        default: Some("0".to_owned()),
        check: Some(CheckConstraint {
            name: "positive".to_owned(),
            constraint: "total >= 0 AND total < 1000 & true".to_owned(),
            is_no_inherit: false,
        }),
        ..Column::default()
    };
    let table = CreateTable {
        name: "invoice".to_owned(),
        comment: Some("yes".to_owned()),
        columns: vec![column],
        constraints: Vec::new(),
    };
    let sql = RawSql {
        up: Some("CREATE VIEW v AS\n  SELECT 1;\n".to_owned()),
        down: Some("DROP VIEW v -- it's: gone".to_owned()),
        is_on_complete: true,
    };
    let alter = AlterColumn {
        table: "t".to_owned(),
        column: "c".to_owned(),
        comment: Change::Remove,
        is_nullable: Some(false),
        ..AlterColumn::default()
    };
    let constraint = CreateConstraint {
        table: "t".to_owned(),
        name: "u".to_owned(),
        up: BTreeMap::from([("b".to_owned(), "b".to_owned()), ("a".to_owned(), String::new())]),
        ..CreateConstraint::default()
    };
    migration(vec![table.into(), sql.into(), alter.into(), constraint.into()])
}

#[test]
fn yaml_has_sorted_keys() {
    expect![[r#"
        operations:
        - create_table:
            columns:
            - check:
                constraint: total >= 0 AND total < 1000 & true
                name: positive
              default: "0"
              name: total
              type: numeric(10,2)
            comment: "yes"
            name: invoice
        - sql:
            down: 'DROP VIEW v -- it''s: gone'
            onComplete: true
            up: |
              CREATE VIEW v AS
                SELECT 1;
        - alter_column:
            column: c
            comment: null
            down: ""
            nullable: false
            table: t
            up: ""
        - create_constraint:
            down: {}
            name: u
            table: t
            type: ""
            up:
              a: ""
              b: b
    "#]]
    .assert_eq(&write(&sample(), Form::Yaml));
}

#[test]
fn json_is_indented_and_escaped_for_html() {
    let mut migration = migration(sample().operations.into_iter().take(1).collect());
    migration.version_schema = Some("v2".to_owned());
    expect![[r#"
        {
          "version_schema": "v2",
          "operations": [
            {
              "create_table": {
                "columns": [
                  {
                    "check": {
                      "constraint": "total \u003e= 0 AND total \u003c 1000 \u0026 true",
                      "name": "positive"
                    },
                    "default": "0",
                    "name": "total",
                    "type": "numeric(10,2)"
                  }
                ],
                "comment": "yes",
                "name": "invoice"
              }
            }
          ]
        }
    "#]]
    .assert_eq(&write(&migration, Form::Json));
}

#[test]
fn required_words_that_are_missing_come_back_as_missing() {
    let empty = migration(vec![
        CreateTable::default().into(),
        AddColumn::default().into(),
        DropConstraint::default().into(),
        SetReplicaIdentity::default().into(),
        CreateIndex { columns: vec![IndexColumn::default()], ..CreateIndex::default() }.into(),
    ]);
    for (form, file) in [(Form::Yaml, "07_thing.yaml"), (Form::Json, "07_thing.json")] {
        let text = write(&empty, form);
        let read = read(&text, file).unwrap_or_else(|found| panic!("{text}\n{}", listed(&found)));
        assert_eq!(read.migration, empty, "{text}");
    }
}

#[test]
fn update_rewrites_older_forms_only() {
    let old = "operations:\n- create_index: {name: i, table: t, columns: {b: {sort: DESC}, a: }}\n";
    expect![[r"
        operations:
        - create_index:
            columns:
            - column: b
              sort: DESC
            - column: a
            name: i
            table: t
    "]]
    .assert_eq(&update(old, "1.yaml").expect("valid").expect("old"));
    let old =
        r#"{"operations": [{"create_index": {"name": "i", "table": "t", "columns": ["a"]}}]}"#;
    let new = update(old, "1.json").expect("valid").expect("old");
    assert!(new.contains("{\n            \"column\": \"a\"\n          }"), "{new}");
    assert_eq!(update(&new, "1.json").expect("valid"), None);
    assert!(update("operations: 1", "1.yaml").is_err());
}

proptest! {
    #[test]
    fn every_text_comes_back(
        text in prop_oneof![
            any::<String>(),
            "[ -~\n]{0,40}",
            "[-+.0-9exob_: tTzZ]{1,8}",
            prop::sample::select(vec![
                "y", "No", "on", "~", "null", "NULL", "=", "<<", "---", "--- a", "- a", "-a", "? ",
                "a: b", "a #b", "a:", ":a", "a\n", "a\n\n", "\na", " a\n b", "a\n b", "a \nb", "#",
                "{a}", "[1]", "'", "\"", "\t", "a\tb", "a\tb\nc", "\u{feff}x", "1e3", "0x1F", "1:30",
                "2024-01-01", ".5", "!a", "%a", "@a", "`a`", "&a", "*a", "|", ">", "a\r\nb", "---\na",
                "x\n---\ny", "a\n\u{85}b", "x\n# y", "a\n\tb", "\ta\nb",
            ]).prop_map(str::to_owned),
        ],
        version_schema in "[ -~]{1,12}",
    ) {
        let mut wanted = migration(vec![
            DropTable { name: text.clone() }.into(),
            CreateConstraint {
                columns: vec![text.clone(), text.clone()],
                up: BTreeMap::from([(text.clone(), text.clone())]),
                ..CreateConstraint::default()
            }
            .into(),
            AlterColumn { default: Change::Set(text), ..AlterColumn::default() }.into(),
        ]);
        wanted.version_schema = Some(version_schema);
        for (form, file) in [(Form::Yaml, "07_thing.yaml"), (Form::Json, "07_thing.json")] {
            let written = write(&wanted, form);
            match read(&written, file) {
                Ok(file) => prop_assert_eq!(&file.migration, &wanted, "{}", written),
                Err(found) => prop_assert!(false, "{written}\n{}", listed(&found)),
            }
        }
    }
}
