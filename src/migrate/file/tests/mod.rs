//! What is read, and what is refused where.

mod schema;
mod written;

use super::*;
use crate::migrate::operation::{
    Change, ForeignKeyAction, IndexMethod, IndexNulls, IndexSort, Operation,
};
use crate::migrate::plan::FindingKind;

fn yaml(text: &str) -> MigrationFile {
    read(text, "migrations/07_thing.yaml").unwrap_or_else(|found| panic!("{}", listed(&found)))
}

fn only(text: &str) -> Operation {
    let operations = yaml(text).migration.operations;
    let [operation] = operations.try_into().expect("one operation");
    operation
}

fn listed(found: &[Mistake]) -> String {
    found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Each mistake as line, column and a part of its message.
#[track_caller]
fn refused(text: &str, file: &str, wanted: &[(u32, u32, &str)]) {
    let found = read(text, file).expect_err("a mistake");
    let places = |mistake: &Mistake| (mistake.diagnostic.line, mistake.diagnostic.column);
    let got: Vec<_> = found.iter().map(places).collect();
    let want: Vec<_> = wanted.iter().map(|(line, column, _)| (*line, *column)).collect();
    assert_eq!(got, want, "{}", listed(&found));
    for (mistake, (_, _, part)) in found.iter().zip(wanted) {
        let words = mistake.to_string();
        assert!(words.contains(part), "`{part}` is not in: {words}");
    }
}

#[test]
fn every_field_of_create_table_is_read() {
    let operation = only(
        r#"
operations:
  - create_table:
      name: invoice
      comment: what we are owed
      columns:
        - name: id
          type: bigint
          pk: true
          generated: {identity: {user_specified_values: BY DEFAULT, sequence_options: START 10}}
        - name: customer
          type: int
          nullable: yes
          unique: off
          default: "0"
          comment: who
          check: {name: positive, constraint: customer > 0, no_inherit: true}
          references:
            name: fk_customer
            table: customer
            column: id
            on_delete: set null
            on_update: CASCADE
            match_type: FULL
            deferrable: true
            initially_deferred: true
        - {name: twice, type: int, generated: {expression: customer * 2}}
      constraints:
        - name: one_each
          type: unique
          columns: [customer, twice]
          nulls_not_distinct: true
          deferrable: true
          initially_deferred: true
          index_parameters: {include_columns: [id], storage_parameters: fillfactor = 70, tablespace: fast}
        - name: apart
          type: exclude
          exclude: {index_method: gist, elements: during WITH &&, predicate: id > 0}
        - name: both
          type: foreign_key
          columns: [customer, twice]
          references: {table: pair, columns: [a, b], on_delete: SET NULL, on_delete_set_columns: [customer]}
        - {name: sound, type: check, check: twice > 0, no_inherit: true}
"#,
    );
    let Operation::CreateTable(table) = operation else { panic!("{operation:?}") };
    assert_eq!(
        (table.name.as_str(), table.comment.as_deref()),
        ("invoice", Some("what we are owed"))
    );
    assert_eq!((table.columns.len(), table.constraints.len()), (3, 4));
    let customer = &table.columns[1];
    assert!(customer.is_nullable && !customer.is_unique && !customer.is_primary_key);
    assert_eq!(customer.default.as_deref(), Some("0"));
    let reference = customer.references.as_ref().expect("given");
    assert_eq!(reference.on_delete, Some(ForeignKeyAction::SetNull));
    assert!(reference.is_deferrable && reference.is_initially_deferred);
    assert!(customer.check.as_ref().expect("given").is_no_inherit);
    let parameters = table.constraints[0].index_parameters.as_ref().expect("given");
    assert_eq!(parameters.include_columns, ["id"]);
    let references = table.constraints[2].references.as_ref().expect("given");
    assert_eq!(references.on_delete_set_columns, ["customer"]);
}

#[test]
fn null_and_absence_differ_in_default_and_comment_of_alter_column() {
    let read = |fields: &str| {
        let operation =
            only(&format!("operations: [{{alter_column: {{table: t, column: c{fields}}}}}]"));
        let Operation::AlterColumn(alter) = operation else { panic!("{operation:?}") };
        alter
    };
    assert_eq!(read("").default, Change::Keep);
    assert_eq!(read(", default: null").default, Change::Remove);
    assert_eq!(read(", comment: ~").comment, Change::Remove);
    assert_eq!(read(", default: 'now()'").default, Change::Set("now()".to_owned()));
    let none = read(", nullable: null, type: null, check: null, up: null, down: ''");
    assert_eq!((none.is_nullable, none.type_name, none.check), (None, None, None));
    assert_eq!((none.up, none.down), (None, None));
    assert_eq!(read(", nullable: no").is_nullable, Some(false));
}

#[test]
fn an_index_has_its_columns_in_order() {
    let operation = only(
        "operations: [{create_index: {name: i, table: t, method: GIN, unique: true, columns: \
         [{column: b, sort: desc, nulls: last, collate: C, opclass: {name: o, params: [siglen=32]}}, \
         {column: a}]}}]",
    );
    let Operation::CreateIndex(index) = operation else { panic!("{operation:?}") };
    assert_eq!(index.method, Some(IndexMethod::Gin));
    let names: Vec<_> = index.columns.iter().map(|column| column.column.as_str()).collect();
    assert_eq!(names, ["b", "a"]);
    let first = &index.columns[0];
    assert_eq!((first.sort, first.nulls), (Some(IndexSort::Descending), Some(IndexNulls::Last)));
    assert_eq!(first.operator_class.as_ref().expect("given").parameters, ["siglen=32"]);
}

#[test]
fn older_forms_of_an_index_are_read_with_a_warning() {
    for columns in ["[b, a]", "{b: {}, a: null}", "{b: , a: {sort: ASC}}"] {
        let file = yaml(&format!(
            "operations:\n- create_index: {{name: i, table: t, columns: {columns}}}"
        ));
        assert!(file.is_old_form);
        assert!(!file.warnings.is_empty() && file.warnings[0].line == 2, "{:?}", file.warnings);
        let [Operation::CreateIndex(index)] = file.migration.operations.as_slice() else {
            panic!()
        };
        let names: Vec<_> = index.columns.iter().map(|column| column.column.as_str()).collect();
        assert_eq!(names, ["b", "a"]);
    }
}

#[test]
fn scalars_are_those_of_yaml_1_1() {
    let booleans = [("yes", true), ("On", true), ("TRUE", true), ("no", false), ("off", false)];
    for (word, value) in booleans {
        let text = format!("operations: [{{sql: {{up: SELECT 1, onComplete: {word}}}}}]");
        let Operation::Sql(sql) = only(&text) else { panic!() };
        assert_eq!(sql.is_on_complete, value, "{word}");
    }
    // Words and numbers are no texts: pgroll refuses them too.
    refused(
        "operations:\n- add_column: {table: t, up: yes, column: {name: c, type: int, default: 100}}",
        "f.yaml",
        &[(2, 30, "add_column.up` must be a string, not a boolean"), (2, 73, "column.default")],
    );
}

#[test]
fn the_file_names_the_migration() {
    let file = yaml("name: other\nversion_schema: 2\noperations: []");
    assert_eq!((file.migration.name.as_str(), file.migration.version()), ("07_thing", "2"));
    assert!(file.warnings[0].to_string().contains("07_thing"), "{:?}", file.warnings);
    assert!(yaml("name: 07_thing\noperations: []").warnings.is_empty());
    assert_eq!(yaml("version_schema: null\noperations: []").migration.version(), "07_thing");
}

#[test]
fn every_mistake_is_reported_at_its_place() {
    refused(
        r#"
versionschema: v2
operations:
  - create_tabel: {name: t}
  - create_table:
      name: t
      columns:
        - name: id
          typ: int
          nullable: "yes"
      constraints: {name: x}
  - alter_column: {table: t, table: u, column: c, nullable: maybe}
  - drop_table: t
  - drop_index
  - rename_table: {from: a, to: b}
    drop_table: {name: c}
  - {}
  - add_column:
      column: {references: {on_delete: SET NIL, match_type: 3}}
  - set_replica_identity: {identity: {type: all}}
"#,
        "f.yaml",
        &[
            (
                2,
                1,
                "unknown key `versionschema` in the file\n  hint: did you mean `version_schema`?",
            ),
            (4, 5, "unknown operation `create_tabel`\n  hint: did you mean `create_table`?"),
            (9, 11, "unknown key `typ` in `create_table.columns[0]`\n  hint: did you mean `type`?"),
            (10, 21, "leave the quotes out"),
            (11, 20, "`create_table.constraints` must be a list, not a map"),
            (12, 30, "`table` is given twice"),
            (12, 61, "`alter_column.nullable` must be true or false"),
            (13, 17, "`drop_table` must be a map, not a string"),
            (14, 5, "an operation must be a map, not a string"),
            (16, 5, "`drop_table` stands in one list element with `rename_table`"),
            (17, 5, "an operation has no name"),
            (19, 40, "`SET NIL` is not a choice for `add_column.column.references.on_delete`"),
            (19, 61, "match_type` must be a string, not a number"),
            (20, 45, "one of: nothing, default, index, full"),
        ],
    );
}

#[test]
fn mistakes_have_the_kinds_of_the_validation() {
    let kinds = |text: &str| {
        let found = read(text, "f.yaml").expect_err("a mistake");
        found.into_iter().map(|mistake| mistake.kind).collect::<Vec<_>>()
    };
    let text = "operations: [{set_replica_identity: {table: t, identity: {type: none}}}, \
                {alter_column: {references: {on_delete: DROP}}}, {nothing: {}}]";
    let wanted = [
        FindingKind::InvalidReplicaIdentity,
        FindingKind::InvalidOnDeleteSetting,
        FindingKind::InvalidMigration,
    ];
    assert_eq!(kinds(text), wanted);
}

#[test]
fn operations_must_be_a_list() {
    let texts = [("operations: {sql: {up: x}}", 13), ("operations: drop", 13), ("operations:", 11)];
    for (text, column) in texts {
        refused(text, "f.yaml", &[(1, column, "`operations` must be a list")]);
    }
    refused("name: x", "f.yaml", &[(1, 1, "`operations` is missing")]);
    refused(
        "- drop_table: {name: t}",
        "f.yaml",
        &[(1, 1, "must be a map, not a list"), (1, 1, "missing")],
    );
}

#[test]
fn json_is_read_strictly_by_its_extension() {
    let text = "{\n  \"operations\": [\n    {\"drop_table\": {\"name\": \"a\\u003eb\"}}\n  ]\n}";
    let file = read(text, "d/01.json").expect("valid");
    assert_eq!((file.form, file.migration.name.as_str()), (Form::Json, "01"));
    let [Operation::DropTable(table)] = file.migration.operations.as_slice() else { panic!() };
    assert_eq!(table.name, "a>b");
    refused("{\"operations\": [],}", "f.json", &[(1, 19, "not valid JSON")]);
    refused("operations: []", "f.json", &[(1, 1, "not valid JSON")]);
    refused(
        "{\n\"operations\": [{\"sql\": {\"Up\": 1}}]}",
        "f.json",
        &[(2, 31, "`sql.up` must be")],
    );
    refused("operations: [", "f.yaml", &[(1, 13, "not valid YAML")]);
}

#[test]
fn stored_json_passes_in_any_case_and_with_its_name() {
    let text = r#"{"name": "m", "operations": [{"sql": {"UP": "SELECT 1", "oncomplete": true}}]}"#;
    let migration = from_json("m", text).expect("valid");
    let [Operation::Sql(sql)] = migration.operations.as_slice() else { panic!() };
    assert!(sql.is_on_complete && sql.up.as_deref() == Some("SELECT 1"));
}

#[test]
fn parts_have_places() {
    let file = yaml(
        "operations:\n  - add_column:\n      table: t\n      up: |\n        a + b\n      column: {name: c}\n",
    );
    let at = |path: &str| {
        let place = file.places.nearest(path);
        (place.line, place.column)
    };
    assert_eq!(at("operations/0/add_column/up"), (5, 9));
    assert_eq!(at("operations/0/add_column/column/name"), (6, 22));
    assert_eq!(at("operations/0/add_column/column/type"), (6, 15));
    assert_eq!(file.places.field(0, "add_column", ""), file.places.nearest("operations/0"));
    assert_eq!(at("elsewhere"), (1, 1));
}

#[test]
fn a_directory_runs_in_the_order_of_its_names() {
    let files = |names: &[&str]| migration_files(names.iter().map(|name| (*name).to_owned()));
    let names =
        ["10_b.yaml", "2_a.json", "README.md", ".hidden.yaml", "01.yml", "01_a.yaml", "B.json"];
    let sorted = files(&names).expect("no two of one name");
    assert_eq!(sorted, ["01.yml", "01_a.yaml", "10_b.yaml", "2_a.json", "B.json"]);
    let same = files(&["a.json", "a.x.json", "a.yaml"]).expect_err("a twice");
    assert_eq!((same.name.as_str(), same.second.as_str()), ("a", "a.yaml"));
    assert_eq!(migration_name("x/y/01_a.b.yaml"), "01_a.b");
    assert_eq!(migration_name(".yaml"), ".yaml");
}
