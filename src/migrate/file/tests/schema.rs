//! The published JSON schema against the reader: the same keys everywhere, and the same answer to
//! each case. The schema asks for more: what a field needs beside it, which here the validation
//! of the plan says.

use super::*;
use crate::migrate::operation::{
    AddColumn, AlterColumn, CheckConstraint, Column, CreateConstraint, CreateIndex, CreateTable,
    DropColumn, DropConstraint, DropIndex, DropMultiColumnConstraint, DropTable, Exclude,
    ForeignKeyReference, Generated, Identity, IndexColumn, IndexParameters, OperatorClass, RawSql,
    RenameColumn, RenameConstraint, RenameTable, ReplicaIdentity, SetReplicaIdentity,
    TableConstraint, TableForeignKeyReference, UniqueConstraint,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const SCHEMA: &str = include_str!("../../../../schemas/migration.schema.json");

fn schema() -> Value {
    serde_json::from_str(SCHEMA).expect("the schema is JSON")
}

/// The part of JSON Schema that ours uses; a keyword that is not known here is a failure.
struct Validator {
    root: Value,
}

impl Validator {
    fn accepts(&self, schema: &Value, value: &Value) -> bool {
        let keywords = schema.as_object().expect("a schema is an object");
        keywords.iter().all(|(keyword, wanted)| match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "then" => true,
            "$ref" => {
                let pointer = wanted.as_str().and_then(|text| text.strip_prefix('#'));
                let target = pointer.and_then(|pointer| self.root.pointer(pointer));
                self.accepts(target.expect("a reference within the schema"), value)
            }
            "type" => match wanted.as_array() {
                Some(types) => types.iter().any(|one| is_of(one, value)),
                None => is_of(wanted, value),
            },
            "enum" => wanted.as_array().expect("words").contains(value),
            "const" => wanted == value,
            "required" => value.as_object().is_none_or(|map| {
                let keys = wanted.as_array().expect("keys").iter();
                keys.filter_map(Value::as_str).all(|key| map.contains_key(key))
            }),
            "properties" => value.as_object().is_none_or(|map| {
                let of = |(key, value)| wanted.get(key).is_none_or(|one| self.accepts(one, value));
                map.iter().all(of)
            }),
            "additionalProperties" => value.as_object().is_none_or(|map| {
                let known = keywords.get("properties");
                let others =
                    map.iter().filter(|(key, _)| known.is_none_or(|of| of.get(key).is_none()));
                let mut others = others.map(|(_, value)| value);
                if *wanted == Value::Bool(false) {
                    others.next().is_none()
                } else {
                    others.all(|value| self.accepts(wanted, value))
                }
            }),
            "items" => value
                .as_array()
                .is_none_or(|items| items.iter().all(|item| self.accepts(wanted, item))),
            "minItems" => value.as_array().is_none_or(|of| of.len() as u64 >= count(wanted)),
            "minLength" => value.as_str().is_none_or(|of| of.len() as u64 >= count(wanted)),
            "maxLength" => value.as_str().is_none_or(|of| of.len() as u64 <= count(wanted)),
            "minProperties" => value.as_object().is_none_or(|of| of.len() as u64 >= count(wanted)),
            "maxProperties" => value.as_object().is_none_or(|of| of.len() as u64 <= count(wanted)),
            "allOf" => self.accepted_of(wanted, value).all(|is| is),
            "anyOf" => self.accepted_of(wanted, value).any(|is| is),
            "oneOf" => self.accepted_of(wanted, value).filter(|is| *is).count() == 1,
            "if" => !self.accepts(wanted, value) || self.accepts(&keywords["then"], value),
            other => panic!("`{other}` is not checked here"),
        })
    }

    fn accepted_of(&self, schemas: &Value, value: &Value) -> impl Iterator<Item = bool> {
        schemas.as_array().expect("schemas").iter().map(move |one| self.accepts(one, value))
    }
}

fn is_of(kind: &Value, value: &Value) -> bool {
    match kind.as_str().expect("a type") {
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("`{other}` is not a type of the format"),
    }
}

fn count(wanted: &Value) -> u64 {
    wanted.as_u64().expect("a count")
}

#[test]
fn the_schema_has_the_keys_that_are_read() {
    let records: &[(&str, &[&str])] = &[
        ("add_column", AddColumn::KEYS),
        ("alter_column", AlterColumn::KEYS),
        ("check_constraint", CheckConstraint::KEYS),
        ("column", Column::KEYS),
        ("create_constraint", CreateConstraint::KEYS),
        ("create_index", CreateIndex::KEYS),
        ("create_table", CreateTable::KEYS),
        ("drop_column", DropColumn::KEYS),
        ("drop_constraint", DropConstraint::KEYS),
        ("drop_index", DropIndex::KEYS),
        ("drop_multicolumn_constraint", DropMultiColumnConstraint::KEYS),
        ("drop_table", DropTable::KEYS),
        ("exclude", Exclude::KEYS),
        ("foreign_key_reference", ForeignKeyReference::KEYS),
        ("generated", Generated::KEYS),
        ("identity", Identity::KEYS),
        ("index_column", IndexColumn::KEYS),
        ("index_parameters", IndexParameters::KEYS),
        ("operation", Operation::KINDS),
        ("operator_class", OperatorClass::KEYS),
        ("rename_column", RenameColumn::KEYS),
        ("rename_constraint", RenameConstraint::KEYS),
        ("rename_table", RenameTable::KEYS),
        ("replica_identity", ReplicaIdentity::KEYS),
        ("set_replica_identity", SetReplicaIdentity::KEYS),
        ("sql", RawSql::KEYS),
        ("table_constraint", TableConstraint::KEYS),
        ("table_foreign_key_reference", TableForeignKeyReference::KEYS),
        ("unique_constraint", UniqueConstraint::KEYS),
    ];
    let root = schema();
    let objects = root["$defs"].as_object().expect("definitions").iter();
    let objects = objects.filter(|(_, body)| body["type"] == "object");
    let published: BTreeSet<(&str, BTreeSet<&str>)> = objects
        .map(|(name, body)| {
            let keys = body["properties"].as_object().expect("keys").keys();
            (name.as_str(), keys.map(String::as_str).collect())
        })
        .collect();
    let read: BTreeSet<(&str, BTreeSet<&str>)> =
        records.iter().map(|(name, keys)| (*name, keys.iter().copied().collect())).collect();
    assert_eq!(published, read);
}

/// Both accept it.
fn valid() -> Vec<Value> {
    let column = json!({"name": "id", "type": "int", "pk": true});
    vec![
        json!({"operations": []}),
        json!({"name": "x", "version_schema": "v", "operations": []}),
        json!({"operations": [{"create_table": {"name": "t", "columns": [column], "comment": "c"}}]}),
        json!({"operations": [{"create_table": {"name": "t", "columns": [], "constraints": [
            {"name": "u", "type": "unique", "columns": ["a"], "nulls_not_distinct": true},
            {"name": "k", "type": "primary_key", "columns": ["a"]},
            {"name": "c", "type": "check", "check": "a > 0"},
            {"name": "f", "type": "foreign_key", "columns": ["a"],
             "references": {"table": "p", "columns": ["a"], "on_delete": "SET NULL"}},
            {"name": "x", "type": "exclude", "exclude": {"elements": "a WITH ="}},
        ]}}]}),
        json!({"operations": [{"add_column": {"table": "t", "up": "1", "column": {"name": "c",
            "type": "int", "generated": {"identity": {"user_specified_values": "ALWAYS"}}}}}]}),
        json!({"operations": [{"alter_column": {"table": "t", "column": "c", "default": null}}]}),
        json!({"operations": [{"alter_column": {"table": "t", "column": "c", "nullable": false,
            "unique": {"name": "u"}, "check": {"name": "k", "constraint": "c > 0"},
            "references": {"name": "f", "table": "p", "column": "id", "match_type": "FULL"}}}]}),
        json!({"operations": [{"create_constraint": {"table": "t", "name": "n", "type": "unique",
            "columns": ["a"], "up": {"a": "a"}, "down": {"a": "a"}}}]}),
        json!({"operations": [{"drop_multicolumn_constraint":
            {"table": "t", "name": "n", "down": {"a": "a"}}}]}),
        json!({"operations": [{"create_index": {"table": "t", "name": "i", "method": "gin",
            "columns": [{"column": "a", "sort": "DESC", "nulls": "LAST",
                         "opclass": {"name": "o", "params": ["p=1"]}}]}}]}),
        json!({"operations": [{"set_replica_identity": {"table": "t",
            "identity": {"type": "index", "index": "i"}}}]}),
        json!({"operations": [{"sql": {"up": "SELECT 1", "onComplete": true}}]}),
    ]
}

/// Both refuse it.
fn invalid() -> Vec<Value> {
    vec![
        json!([]),
        json!({}),
        json!({"operations": null}),
        json!({"operations": {"sql": {"up": "SELECT 1"}}}),
        json!({"operations": [], "opperations": []}),
        json!({"operations": ["drop_table"]}),
        json!({"operations": [{}]}),
        json!({"operations": [{"nothing": {}}]}),
        json!({"operations": [{"drop_table": {"name": "a"}, "drop_index": {"name": "b"}}]}),
        json!({"operations": [{"drop_table": "a"}]}),
        json!({"operations": [{"drop_table": null}]}),
        json!({"operations": [{"drop_table": {"name": 1}}]}),
        json!({"operations": [{"drop_table": {"name": "a", "cascade": true}}]}),
        json!({"operations": [{"sql": {"up": "SELECT 1", "onComplete": "true"}}]}),
        json!({"operations": [{"add_column": {"table": "t", "column": {"name": "c", "type": "int",
            "default": 1}}}]}),
        json!({"operations": [{"create_table": {"name": "t", "columns": {"name": "c"}}}]}),
        json!({"operations": [{"create_table": {"name": "t", "columns": [],
            "constraints": [{"name": "n", "type": "index"}]}}]}),
        json!({"operations": [{"alter_column": {"table": "t", "column": "c", "default": ["1"]}}]}),
        json!({"operations": [{"create_index": {"table": "t", "name": "i", "method": "rum",
            "columns": [{"column": "a"}]}}]}),
        json!({"operations": [{"create_constraint": {"table": "t", "name": "n", "type": "unique",
            "columns": ["a"], "up": "a", "down": {"a": "a"}}}]}),
        json!({"operations": [{"set_replica_identity": {"table": "t", "identity": {"type": "x"}}}]}),
    ]
}

/// The reader takes it and the validation refuses it.
fn incomplete() -> Vec<Value> {
    vec![
        json!({"operations": [{"drop_table": {}}]}),
        json!({"operations": [{"drop_table": {"name": ""}}]}),
        json!({"operations": [{"alter_column": {"table": "t", "column": "c"}}]}),
        json!({"operations": [{"create_table": {"name": "t", "columns": [],
            "constraints": [{"name": "c", "type": "check"}]}}]}),
        json!({"operations": [{"sql": {"up": "SELECT 1", "down": "x", "onComplete": true}}]}),
        json!({"operations": [{"set_replica_identity": {"table": "t", "identity": {"type": "index"}}}]}),
    ]
}

#[test]
fn the_schema_and_the_reader_agree() {
    let validator = Validator { root: schema() };
    let cases = [(valid(), true, true), (invalid(), false, false), (incomplete(), true, false)];
    for (cases, is_read, is_accepted) in cases {
        for case in cases {
            assert_eq!(read(&case.to_string(), "f.json").is_ok(), is_read, "{case}");
            assert_eq!(validator.accepts(&validator.root, &case), is_accepted, "{case}");
        }
    }
}
