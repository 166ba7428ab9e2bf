//! What the planner refuses, by kind, name and place.

use super::planned;
use expect_test::{Expect, expect};
use std::fmt::Write as _;

/// `Kind [operation] table.column name (field @ offset): message`
fn check_refused(operations: &str, expect: &Expect) {
    let findings = planned(operations).expect_err("it should be refused");
    let text = findings.iter().fold(String::new(), |mut all, one| {
        let or = |part: &Option<String>| part.clone().unwrap_or_default();
        let at =
            one.position.as_ref().map_or(String::new(), |place| format!(" @ {}", place.offset));
        let operation = one.operation.map_or("-".to_owned(), |at| at.to_string());
        let _ = writeln!(
            all,
            "{:?} [{operation}] {}.{} {} ({}{at}): {}",
            one.kind,
            or(&one.table),
            or(&one.column),
            or(&one.name),
            or(&one.field),
            one.message
        );
        all
    });
    expect.assert_eq(text.trim_end());
}

#[test]
fn a_migration_does_something_and_sql_stands_alone() {
    check_refused("", &expect!["EmptyMigration [-] .  (): no operations"]);
    check_refused(
        "sql: {up: select 1}\ndrop_table: {name: orders}",
        &expect![
            "InvalidMigration [0] .  (): sql must be the only operation, unless it runs on complete"
        ],
    );
    check_refused(
        "sql: {up: select 1, down: select 1, onComplete: true}",
        &expect!["InvalidMigration [0] .  (down): sql that runs on complete cannot have a down"],
    );
    check_refused(
        "sql: {up: ''}",
        &expect![[r#"FieldRequired [0] .  (up): field "up" is required"#]],
    );
}

#[test]
fn tables_must_be_there_or_free() {
    check_refused(
        "drop_table: {name: nobody}",
        &expect![[r#"TableDoesNotExist [0] nobody.  (): table "nobody" does not exist"#]],
    );
    check_refused(
        "rename_table: {from: users, to: orders}",
        &expect![[r#"TableAlreadyExists [0] orders.  (): table "orders" already exists"#]],
    );
    check_refused(
        "create_table: {name: users, columns: [{name: id, type: int}]}",
        &expect![[r#"TableAlreadyExists [0] users.  (): table "users" already exists"#]],
    );
    check_refused(
        &format!("rename_table: {{from: users, to: {}}}", "x".repeat(64)),
        &expect![[
            r#"InvalidIdentifierLength [0] users. xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx (to): to: name "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" is longer than 63 bytes"#
        ]],
    );
    check_refused(
        "drop_table: {name: users}",
        &expect![[r#"
        DependentObject [-] users.  (): foreign key "orders_user" of table public.orders depends on table "users": drop it before the migration
        DependentObject [-] users.  (): view public.names depends on table "users": drop it before the migration"#]],
    );
    check_refused(
        "add_column: {table: users, column: {name: a, type: int, nullable: true}}\ndrop_table: {name: users}",
        &expect![[
            r#"InvalidMigration [1] users.  (): table "users" is changed and dropped in one migration"#
        ]],
    );
}

#[test]
fn a_created_table_is_whole() {
    check_refused(
        "create_table: {name: t, columns: [{name: '', type: int}, {name: a, type: ''}, {name: b, type: int}, {name: b, type: int}]}",
        &expect![[r#"
            ColumnIsInvalid [0] t.  (columns[0].name): column "" has no name
            ColumnIsInvalid [0] t.a  (columns[1].type): column "a" has no type
            ColumnAlreadyExists [0] t.b  (columns[3]): column "b" stands twice in table "t""#]],
    );
    check_refused(
        "create_table: {name: t, columns: [{name: id, type: int, pk: true}], constraints: [{name: pk, type: primary_key, columns: [id]}]}",
        &expect![[r#"PrimaryKeysAreAlreadySet [0] t.  (): table "t" has two primary keys"#]],
    );
    check_refused(
        "create_table: {name: t, columns: [{name: id, type: int, generated: {expression: '1', identity: {}}}]}",
        &expect![[
            r#"InvalidGeneratedColumn [0] t.id  (): column "id": generated is either an expression or an identity, without a default"#
        ]],
    );
    check_refused(
        "create_table: {name: t, columns: [{name: id, type: int, check: {name: c, constraint: ''}}]}",
        &expect![[
            r#"CheckConstraintError [0] t.id c (columns[0].check.constraint): check "c" of a column has no constraint"#
        ]],
    );
    check_refused(
        "create_table: {name: t, columns: [{name: id, type: int, references: {name: f, table: users, column: nope}}]}",
        &expect![[
            r#"ColumnReferenceError [0] t.id f (columns[0].references): the reference of column "id" is invalid: column "nope" does not exist in table "users""#
        ]],
    );
    check_refused(
        "create_table: {name: t, columns: [{name: id, type: int}], constraints: [{name: c, type: check, check: id > 0, deferrable: true}, {name: u, type: unique}, {name: f, type: foreign_key, columns: [id]}, {name: x, type: exclude}, {name: v, type: unique, columns: [nope]}]}",
        &expect![[r#"
            CheckConstraintError [0] t. c (constraints[0].deferrable): constraint "c" cannot have deferrable
            FieldRequired [0] t. u (constraints[1].columns): field "constraints[1].columns" is required
            FieldRequired [0] t. f (constraints[2].references): field "constraints[2].references" is required
            FieldRequired [0] t. x (constraints[3].exclude.elements): field "constraints[3].exclude.elements" is required
            ColumnDoesNotExist [0] t.nope v (constraints[4]): column "nope" does not exist in table "t""#]],
    );
    check_refused(
        "create_table: {name: t, columns: [{name: id, type: int}], constraints: [{name: f, type: foreign_key, columns: [id], references: {table: users, columns: [id], on_delete: CASCADE, on_delete_set_columns: [id]}}]}",
        &expect![
            "UnexpectedOnDeleteSetColumn [0] t. f (references.on_delete_set_columns): on_delete_set_columns goes with SET NULL and SET DEFAULT only"
        ],
    );
    check_refused(
        "create_table: {name: t, columns: [{name: id, type: int}], constraints: [{name: f, type: foreign_key, columns: [id], references: {table: users, columns: [id], on_delete: SET NULL, on_delete_set_columns: [nope]}}]}",
        &expect![[
            r#"InvalidOnDeleteSetColumn [0] t.nope f (references.on_delete_set_columns): column "nope" of on_delete_set_columns is not part of the key"#
        ]],
    );
}

#[test]
fn an_added_column_must_have_a_value() {
    check_refused(
        "add_column: {table: users, column: {name: name, type: int}}",
        &expect![[
            r#"ColumnAlreadyExists [0] users.name  (): column "name" already exists in table "users""#
        ]],
    );
    check_refused(
        "add_column: {table: users, column: {name: a, type: int}}",
        &expect![[r#"FieldRequired [0] users.a  (up): field "up" is required"#]],
    );
    check_refused(
        "add_column: {table: users, column: {name: a, type: int, pk: true}, up: '1'}",
        &expect![
            "InvalidMigration [0] .  (column.pk): adding primary key columns is not supported"
        ],
    );
    check_refused(
        "add_column: {table: users, column: {name: a, type: float8, default: random()}}",
        &expect![[
            r#"UpSqlMustBeColumnDefault [0] users.a  (up): default of column "a" is another value in each row: `up` must be the same expression"#
        ]],
    );
    check_refused(
        "add_column: {table: users, column: {name: a, type: int, nullable: true, references: {name: f, table: nobody, column: id}}}",
        &expect![[
            r#"ColumnReferenceError [0] users.a f (column.references): the reference of column "a" is invalid: table "nobody" does not exist"#
        ]],
    );
    check_refused(
        "add_column: {table: users, column: {name: a, type: int, check: {name: adult, constraint: a > 0}}, up: '1'}",
        &expect![[
            r#"ConstraintAlreadyExists [0] users. adult (): constraint "adult" already exists on table "users""#
        ]],
    );
}

#[test]
fn expressions_are_refused_with_their_place() {
    check_refused(
        "add_column: {table: users, column: {name: a, type: int}, up: 'age +'}",
        &expect!["InvalidExpression [0] users.a  (up @ 5): up: syntax error at end of input"],
    );
    check_refused(
        "add_column: {table: users, column: {name: a, type: int}, up: 'age age2 age3'}",
        &expect![[
            r#"InvalidExpression [0] users.a  (up @ 9): up: syntax error at or near "age3""#
        ]],
    );
    check_refused(
        "add_column: {table: users, column: {name: a, type: 'int; drop'}, up: '1'}",
        &expect![
            "InvalidExpression [0] users.a  (column.type @ 9): column.type: syntax error at end of input"
        ],
    );
    check_refused(
        "alter_column: {table: users, column: email, check: {name: c, constraint: email in (select 1)}, up: email, down: email}",
        &expect![
            "CheckConstraintError [0] users.email  (check.constraint): a condition on rows cannot hold a query"
        ],
    );
    check_refused(
        "alter_column: {table: users, column: email, check: {name: c, constraint: 'email >'}, up: email, down: email}",
        &expect![
            "InvalidExpression [0] users.email  (check.constraint @ 7): check.constraint: syntax error at end of input"
        ],
    );
    check_refused(
        "create_index: {table: users, name: i, columns: [{column: email}], predicate: 'email ='}",
        &expect![
            "InvalidExpression [0] users. i (predicate @ 7): predicate: syntax error at end of input"
        ],
    );
}

#[test]
fn altering_must_change_something_that_can_be() {
    check_refused(
        "alter_column: {table: users, column: email, up: email, down: email}",
        &expect![[
            r#"AlterColumnNoChanges [0] users.email  (): alter_column of "email" changes nothing"#
        ]],
    );
    check_refused(
        "alter_column: {table: users, column: nope, nullable: false, up: '1'}",
        &expect![[
            r#"ColumnDoesNotExist [0] users.nope  (): column "nope" does not exist in table "users""#
        ]],
    );
    check_refused(
        "alter_column: {table: users, column: email, nullable: false, up: email}",
        &expect![[
            r#"ColumnIsNotNullable [0] users.email  (): column "email" is NOT NULL already"#
        ]],
    );
    check_refused(
        "alter_column: {table: users, column: name, nullable: true, down: name}",
        &expect![[r#"ColumnIsNullable [0] users.name  (): column "name" is nullable already"#]],
    );
    check_refused(
        "alter_column: {table: users, column: email, type: int}",
        &expect![[r#"
        FieldRequired [0] users.email  (up): field "up" is required
        FieldRequired [0] users.email  (down): field "down" is required"#]],
    );
    check_refused(
        "alter_column: {table: users, column: email, nullable: true}",
        &expect![[r#"FieldRequired [0] users.email  (down): field "down" is required"#]],
    );
    check_refused(
        "alter_column: {table: users, column: email, unique: {name: adult}}",
        &expect![[
            r#"ConstraintAlreadyExists [0] users.email adult (): constraint "adult" already exists on table "users""#
        ]],
    );
    check_refused(
        "alter_column: {table: users, column: email, unique: {name: ''}}",
        &expect![[
            r#"FieldRequired [0] users.email  (unique.name): field "unique.name" is required"#
        ]],
    );
    check_refused(
        "alter_column: {table: orders, column: user_id, references: {name: f, table: users, column: nope}, up: user_id, down: user_id}",
        &expect![[
            r#"ColumnReferenceError [0] orders.user_id f (references): the reference of column "user_id" is invalid: column "nope" does not exist in table "users""#
        ]],
    );
}

#[test]
fn what_cannot_be_carried_over_stands_in_the_way() {
    check_refused(
        "alter_column: {table: users, column: age, nullable: false, up: '1'}",
        &expect![[
            r#"DependentObject [0] users.age  (): function public.ages() depends on column "age": drop it before the migration and make it again after"#
        ]],
    );
    check_refused(
        "alter_column: {table: users, column: name, nullable: false, up: '1'}",
        &expect![[
            r#"DependentObject [0] users.name  (): materialized view public.names depends on column "name": drop it before the migration and make it again after"#
        ]],
    );
    check_refused(
        "drop_column: {table: users, column: id}",
        &expect![[
            r#"DependentObject [0] users.id  (): foreign key "orders_user" of table public.orders depends on column "id": drop or change it before the migration"#
        ]],
    );
    check_refused(
        "drop_index: {name: email_once}",
        &expect![[
            r#"DependentObject [0] users. email_once (): index "email_once" belongs to constraint "email_once": drop the constraint instead"#
        ]],
    );
}

#[test]
fn constraints_must_be_there_or_free() {
    check_refused(
        "create_constraint: {table: users, name: adult, type: check, check: age > 1, columns: [email], up: {email: email}, down: {}}",
        &expect![[r#"
            ConstraintAlreadyExists [0] users. adult (): constraint "adult" already exists on table "users"
            ColumnMigrationMissing [0] users.email adult (down): down for column "email" is missing"#]],
    );
    check_refused(
        "create_constraint: {table: users, name: c, type: unique, columns: [], up: {}, down: {}}",
        &expect![[r#"FieldRequired [0] users. c (columns): field "columns" is required"#]],
    );
    check_refused(
        "create_constraint: {table: users, name: c, type: foreign_key, columns: [email], up: {email: email}, down: {email: email}}",
        &expect![[r#"FieldRequired [0] users. c (references): field "references" is required"#]],
    );
    check_refused(
        "create_constraint: {table: users, name: c, type: primary_key, columns: [email], up: {email: email}, down: {email: email}}",
        &expect![[
            r#"PrimaryKeysAreAlreadySet [0] users. c (): table "users" has a primary key already"#
        ]],
    );
    check_refused(
        "drop_constraint: {table: users, name: pair, down: age}",
        &expect![[
            r#"MultiColumnConstraintsNotSupported [0] users. pair (): constraint "pair" covers 2 columns: use drop_multicolumn_constraint"#
        ]],
    );
    check_refused(
        "drop_constraint: {table: users, name: users_pkey, down: id}",
        &expect![[
            r#"ConstraintDoesNotExist [0] users. users_pkey (): constraint "users_pkey" does not exist on table "users""#
        ]],
    );
    check_refused(
        "drop_constraint: {table: users, name: email_once}",
        &expect![[r#"FieldRequired [0] users. email_once (down): field "down" is required"#]],
    );
    check_refused(
        "drop_multicolumn_constraint: {table: users, name: pair, up: {id: id}, down: {name: name}}",
        &expect![[r#"
            ColumnMigrationMissing [0] users.age pair (down): down for column "age" is missing
            ColumnMigrationRedundant [0] users.id pair (up): constraint "pair" does not cover column "id""#]],
    );
    check_refused(
        "rename_constraint: {table: users, from: nope, to: x}",
        &expect![[
            r#"ConstraintDoesNotExist [0] users. nope (): constraint "nope" does not exist on table "users""#
        ]],
    );
    check_refused(
        "rename_constraint: {table: users, from: adult, to: pair}",
        &expect![[
            r#"ConstraintAlreadyExists [0] users. pair (): constraint "pair" already exists on table "users""#
        ]],
    );
}

#[test]
fn columns_and_indexes_must_be_there_or_free() {
    check_refused(
        "rename_column: {table: users, from: nope, to: x}",
        &expect![[
            r#"ColumnDoesNotExist [0] users.nope  (): column "nope" does not exist in table "users""#
        ]],
    );
    check_refused(
        "rename_column: {table: users, from: name, to: email}",
        &expect![[
            r#"ColumnAlreadyExists [0] users.email  (): column "email" already exists in table "users""#
        ]],
    );
    check_refused(
        "drop_column: {table: users, column: nope}",
        &expect![[
            r#"ColumnDoesNotExist [0] users.nope  (): column "nope" does not exist in table "users""#
        ]],
    );
    check_refused(
        "create_index: {table: users, name: by_name, columns: [{column: email}]}",
        &expect![[r#"IndexAlreadyExists [0] users. by_name (): index "by_name" already exists"#]],
    );
    check_refused(
        "create_index: {table: users, name: i, columns: [{column: nope}]}",
        &expect![[
            r#"ColumnDoesNotExist [0] users.nope  (): column "nope" does not exist in table "users""#
        ]],
    );
    check_refused(
        "drop_index: {name: nope}",
        &expect![[r#"IndexDoesNotExist [0] . nope (): index "nope" does not exist"#]],
    );
    check_refused(
        "set_replica_identity: {table: users, identity: {type: index, index: nope}}",
        &expect![[
            r#"IndexDoesNotExist [0] users. nope (): index "nope" does not exist on table "users""#
        ]],
    );
    check_refused(
        "set_replica_identity: {table: users, identity: {type: index}}",
        &expect![[
            r#"FieldRequired [0] users.  (identity.index): field "identity.index" is required"#
        ]],
    );
}
