use super::{
    as_value, base_type, check_expression, check_type, facts, index_body, is_literal,
    key_constraint_on, rename_columns,
};
use expect_test::{Expect, expect};
use std::collections::BTreeMap;

fn names(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(old, new)| ((*old).to_owned(), (*new).to_owned())).collect()
}

fn status_and_id() -> BTreeMap<String, String> {
    names(&[("status", "_pgroll_new_status"), ("id", "_pgroll_new_id"), ("A b", "New \"b")])
}

fn check_rename(text: &str, expect: &Expect) {
    expect.assert_eq(&rename_columns(text, &status_and_id()).unwrap());
}

#[test]
fn only_references_to_the_column_are_renamed() {
    // The two that a replacement of the text gets wrong.
    check_rename(
        "status IN ('status_active')",
        &expect![[r#""_pgroll_new_status" IN ('status_active')"#]],
    );
    check_rename("paid > 0 AND id > 0", &expect![[r#"paid > 0 AND "_pgroll_new_id" > 0"#]]);
    check_rename("status(id) = status_id", &expect![[r#"status("_pgroll_new_id") = status_id"#]]);
    check_rename(
        "STATUS = $$status$$ /* status */",
        &expect![[r#""_pgroll_new_status" = $$status$$ /* status */"#]],
    );
    check_rename(
        "t.status = 'é' AND (status)::text = ''",
        &expect![[r#"t."_pgroll_new_status" = 'é' AND ("_pgroll_new_status")::text = ''"#]],
    );
    check_rename(r#"  "A b" > 1 -- "A b""#, &expect![[r#"  "New ""b" > 1 -- "A b""#]]);
    check_rename(
        "CASE WHEN id IS NULL THEN status ELSE lower(status) END",
        &expect![[
            r#"CASE WHEN "_pgroll_new_id" IS NULL THEN "_pgroll_new_status" ELSE lower("_pgroll_new_status") END"#
        ]],
    );
}

fn check_error(text: &str, expect: &Expect) {
    let error = check_expression(text).unwrap_err();
    expect.assert_eq(&format!("{} @ {}", error.message, error.offset));
}

#[test]
fn a_syntax_error_has_its_place_in_the_text() {
    check_error("name ||", &expect!["syntax error at end of input @ 7"]);
    check_error("name name2 name3", &expect![[r#"syntax error at or near "name3" @ 11"#]]);
    check_error("'é' || ) || )", &expect![[r#"syntax error at or near ")" @ 7"#]]);
    check_error("'open", &expect![[r#"unterminated quoted string at or near "'open" @ 0"#]]);
    check_error("", &expect!["expected one expression @ 0"]);
    check_error("a, b", &expect!["expected one expression @ 4"]);
    check_error("a FROM t", &expect!["expected one expression @ 8"]);
    check_error("1; DROP TABLE t", &expect!["expected one expression @ 15"]);
    check_error("SELECT max(id) FORM t", &expect![[r#"syntax error at or near "t" @ 20"#]]);
}

#[test]
fn a_query_is_a_value_in_parentheses() {
    assert_eq!(as_value("SELECT 1"), "(SELECT 1)");
    assert_eq!(as_value("(SELECT 1)"), "(SELECT 1)");
    assert_eq!(as_value("selected"), "(selected)");
    check_expression("SELECT CASE WHEN a IS NULL THEN b ELSE a END").unwrap();
    check_expression("(SELECT name FROM users WHERE users.id = user_id LIMIT 1)").unwrap();
}

#[test]
fn facts_tell_what_an_expression_reads() {
    let read =
        facts("(SELECT u.name FROM app.users u WHERE u.id = user_id) || upper(title)").unwrap();
    expect![[r#"
        Facts {
            columns: {
                "id",
                "name",
                "title",
                "user_id",
            },
            functions: {
                "upper",
            },
            tables: {
                "users",
            },
            has_subquery: true,
        }
    "#]]
    .assert_debug_eq(&read);
}

#[test]
fn a_literal_takes_its_type_from_the_context() {
    for text in
        ["'a'", "NULL", "CASE WHEN paid THEN 'a' ELSE 'b' END", "COALESCE(NULL, 'x')", "('a')"]
    {
        assert!(is_literal(text).unwrap(), "{text}");
    }
    for text in ["1", "a", "'a' || b", "'a'::text", "CASE WHEN x THEN 'a' ELSE b END", "now()"] {
        assert!(!is_literal(text).unwrap(), "{text}");
    }
}

#[test]
fn a_base_type_has_no_modifier() {
    for (text, base) in [
        ("varchar(255)", "varchar"),
        ("character varying(3)[]", "varchar[]"),
        ("char(3)", "pg_catalog.bpchar"),
        ("numeric(10,2)", "numeric"),
        ("timestamp(3) with time zone", "timestamp with time zone"),
        ("serial", "int4"),
        ("BIGSERIAL", "int8"),
        ("app.mood", "app.mood"),
        ("\"Mood\"[]", "\"Mood\"[]"),
        ("bit(3)", "pg_catalog.\"bit\""),
    ] {
        assert_eq!(base_type(text).unwrap(), base, "{text}");
    }
    assert!(check_type("int; drop table x").is_err());
    assert!(check_type("int + 1").is_err());
    assert!(check_type("no type").is_err());
}

#[test]
fn an_index_keeps_everything_but_its_columns_and_name() {
    let new = names(&[("email", "_pgroll_new_email"), ("n", "_pgroll_new_n"), ("Lower", "x")]);
    let check = |definition: &str, expect: Expect| {
        let body = index_body(definition, &new).unwrap();
        expect.assert_eq(&format!("{}|{}", body.keys, body.predicate));
    };
    check(
        "CREATE UNIQUE INDEX i ON public.users USING btree (lower(email) COLLATE \"C\" text_pattern_ops DESC NULLS LAST, n, \"Lower\" DESC) INCLUDE (n, id) NULLS NOT DISTINCT WITH (fillfactor='70') WHERE (email <> 'email'::text)",
        expect![[
            r#" USING btree (lower("_pgroll_new_email") COLLATE "C" text_pattern_ops DESC NULLS LAST, "_pgroll_new_n", "x" DESC) INCLUDE ("_pgroll_new_n", id) NULLS NOT DISTINCT WITH (fillfactor='70')| WHERE ("_pgroll_new_email" <> 'email'::text)"#
        ]],
    );
    check(
        "CREATE INDEX \"a (b\" ON public.\"index (\" USING gist (((n + 1)), email gist_trgm_ops (siglen='32'))",
        expect![[
            r#" USING gist ((("_pgroll_new_n" + 1)), "_pgroll_new_email" gist_trgm_ops (siglen='32'))|"#
        ]],
    );
}

#[test]
fn a_key_keeps_everything_but_its_columns() {
    let new = names(&[("a", "_pgroll_new_a"), ("b", "n b")]);
    let referenced = names(&[("a", "ra"), ("x", "rx")]);
    let check = |definition: &str, expect: Expect| {
        expect.assert_eq(&key_constraint_on(definition, &new, &referenced).unwrap());
    };
    check(
        "FOREIGN KEY (b, a) REFERENCES public.a(a, x) MATCH FULL ON UPDATE CASCADE ON DELETE SET NULL (a) DEFERRABLE INITIALLY DEFERRED NOT VALID",
        expect![[
            r#"FOREIGN KEY ("n b", "_pgroll_new_a") REFERENCES public.a("ra", "rx") MATCH FULL ON UPDATE CASCADE ON DELETE SET NULL ("_pgroll_new_a") DEFERRABLE INITIALLY DEFERRED NOT VALID"#
        ]],
    );
    check(
        "EXCLUDE USING gist (a WITH =, tsrange(b, c) WITH &&, f WITH =) WHERE (a > 1)",
        expect![[
            r#"EXCLUDE USING gist ("_pgroll_new_a" WITH =, tsrange("n b", c) WITH &&, f WITH =) WHERE ("_pgroll_new_a" > 1)"#
        ]],
    );
}
