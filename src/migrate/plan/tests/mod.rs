//! The schema that plans are made for here. Plans are run on real servers by `tests/it/plan`.

mod refused;
mod steps;

use super::{Finding, Plan, Versions, plan};
use crate::catalog::detail::{
    Column, Constraint, ConstraintKind, Dependent, DependentKind, Index, Read, Schema, Table, View,
    ViewKind,
};
use crate::migrate::file;
use crate::migrate::model::Model;
use std::collections::BTreeMap;
use std::fmt::Write as _;

fn column(name: &str, type_name: &str, not_null: bool) -> Column {
    Column {
        name: name.to_owned(),
        type_name: type_name.to_owned(),
        base_type: type_name.to_owned(),
        not_null,
        ..Column::default()
    }
}

fn constraint(
    table: &str,
    name: &str,
    kind: ConstraintKind,
    columns: &[&str],
    definition: &str,
) -> Constraint {
    let has_index = matches!(kind, ConstraintKind::PrimaryKey | ConstraintKind::Unique);
    Constraint {
        schema: "public".to_owned(),
        table: table.to_owned(),
        name: name.to_owned(),
        kind,
        columns: columns.iter().map(|column| (*column).to_owned()).collect(),
        definition: definition.to_owned(),
        expression: (kind == ConstraintKind::Check)
            .then(|| definition.trim_start_matches("CHECK ").to_owned()),
        index: has_index.then(|| name.to_owned()),
        referenced_index: None,
        is_deferrable: false,
        is_deferred: false,
        is_valid: true,
        no_inherit: false,
        is_inherited: false,
        referenced_schema: None,
        referenced_table: None,
        referenced_columns: Vec::new(),
        comment: None,
    }
}

fn index(table: &str, name: &str, is_primary: bool, column: &str, constraint: bool) -> Index {
    Index {
        name: name.to_owned(),
        definition: format!("CREATE UNIQUE INDEX {name} ON public.{table} USING btree ({column})"),
        is_unique: true,
        is_primary,
        is_valid: true,
        is_immediate: true,
        constraint: constraint.then(|| name.to_owned()),
        key_columns: vec![Some(column.to_owned())],
        columns: vec![column.to_owned()],
        ..Index::default()
    }
}

fn users() -> Table {
    Table {
        name: "users".to_owned(),
        columns: vec![
            column("id", "integer", true),
            column("name", "text", false),
            column("email", "text", true),
            column("age", "integer", false),
        ],
        constraints: vec![
            constraint(
                "users",
                "users_pkey",
                ConstraintKind::PrimaryKey,
                &["id"],
                "PRIMARY KEY (id)",
            ),
            constraint("users", "email_once", ConstraintKind::Unique, &["email"], "UNIQUE (email)"),
            constraint("users", "adult", ConstraintKind::Check, &["age"], "CHECK ((age > 17))"),
            constraint(
                "users",
                "pair",
                ConstraintKind::Check,
                &["age", "name"],
                "CHECK ((age > 17 OR name IS NULL))",
            ),
        ],
        indexes: vec![
            index("users", "users_pkey", true, "id", true),
            index("users", "email_once", false, "email", true),
            index("users", "by_name", false, "name", false),
        ],
        dependents: vec![Dependent {
            kind: DependentKind::Function,
            identity: "function public.ages()".to_owned(),
            column: "age".to_owned(),
        }],
        ..Table::default()
    }
}

fn schema() -> Schema {
    let mut users = users();
    let mut key = constraint(
        "orders",
        "orders_user",
        ConstraintKind::ForeignKey,
        &["user_id"],
        "FOREIGN KEY (user_id) REFERENCES public.users(id)",
    );
    key.referenced_schema = Some("public".to_owned());
    key.referenced_table = Some("users".to_owned());
    key.referenced_columns = vec!["id".to_owned()];
    key.referenced_index = Some("users_pkey".to_owned());
    users.inbound.push(key.clone());
    let orders = Table {
        name: "orders".to_owned(),
        columns: vec![column("id", "integer", true), column("user_id", "integer", false)],
        constraints: vec![key],
        ..Table::default()
    };
    Schema {
        name: "public".to_owned(),
        server_version: 150_000,
        volatile_functions: ["random".to_owned()].into(),
        tables: [users, orders].map(|table| (table.name.clone(), table)).into(),
        views: vec![View {
            schema: "public".to_owned(),
            name: "names".to_owned(),
            kind: ViewKind::Materialized,
            owner: "owner".to_owned(),
            definition: None,
            options: Vec::new(),
            comment: None,
            columns: vec!["name".to_owned()],
            defaults: BTreeMap::default(),
            column_comments: BTreeMap::default(),
            has_triggers: false,
            grants: Vec::new(),
            column_grants: Vec::new(),
            reads: vec![Read {
                schema: "public".to_owned(),
                name: "users".to_owned(),
                columns: vec!["name".to_owned()],
            }],
        }],
        ..Schema::default()
    }
}

fn planned(operations: &str) -> Result<Plan, Vec<Finding>> {
    let text = if operations.is_empty() {
        "operations: []".to_owned()
    } else {
        let lines: String = operations.lines().fold(String::new(), |mut all, line| {
            let _ = writeln!(all, "  - {line}");
            all
        });
        format!("operations:\n{lines}")
    };
    let migration =
        file::read(&text, "01.yaml").unwrap_or_else(|m| panic!("{m:?}\n{text}")).migration;
    let versions = Versions {
        previous: Some("public_00".to_owned()),
        next: "public_01".to_owned(),
        has_views: true,
    };
    plan(&Model::new(schema()), &migration, &versions)
}
