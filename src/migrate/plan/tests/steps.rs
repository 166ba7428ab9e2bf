//! The steps of the operations that need the most of them.

use super::planned;
use expect_test::{Expect, expect};
use std::fmt::Write as _;

/// The steps, their statements and locks.
fn check_plan(operations: &str, expect: &Expect) {
    let plan = planned(operations).unwrap();
    let mut text = String::new();
    for (phase, steps) in [
        ("START", &plan.start),
        ("VALIDATE", &plan.validate),
        ("COMPLETE", &plan.complete),
        ("ROLLBACK", &plan.rollback),
    ] {
        let _ = writeln!(text, "{phase}");
        for step in steps {
            let locks: Vec<String> = step
                .locks
                .iter()
                .map(|lock| format!("{} on {}", lock.mode.as_str(), lock.relation))
                .collect();
            let _ = writeln!(text, "{} [{}] {:?}", step.id, locks.join(", "), step.cost);
            for statement in &step.statements {
                let _ = writeln!(text, "  {statement}");
            }
        }
    }
    for backfill in &plan.backfill {
        let _ = writeln!(text, "{} by {:?}: {:?}", backfill.id, backfill.key, backfill.assignments);
    }
    expect.assert_eq(&text);
}

#[test]
#[expect(clippy::too_many_lines, reason = "one plan, as it is")]
fn a_unique_column_that_others_refer_to() {
    check_plan(
        "create_constraint: {table: users, name: positive, type: check, check: id > 0, columns: [id], up: {id: abs(id)}, down: {id: id}}",
        &expect![[r#"
            START
            start/0001/columns users [ACCESS EXCLUSIVE on public.users] Metadata
              CREATE OR REPLACE FUNCTION "public"."_pgroll_up_0_5_users_id"("id" int) RETURNS int LANGUAGE sql RETURN (abs(id)
            )
              GRANT EXECUTE ON FUNCTION "public"."_pgroll_up_0_5_users_id"(int) TO PUBLIC
              ALTER TABLE "public"."users" ADD COLUMN "_pgroll_new_id" integer, ADD COLUMN "_pgroll_needs_backfill" boolean NOT NULL DEFAULT true, ADD CONSTRAINT "_pgroll_check_not_null_id" CHECK ("_pgroll_new_id" IS NOT NULL) NOT VALID, ADD CONSTRAINT "positive" CHECK ("_pgroll_new_id" > 0
            ) NOT VALID
              CREATE OR REPLACE FUNCTION "public"."_pgroll_sync_users"() RETURNS trigger LANGUAGE plpgsql AS $sync$
            DECLARE
              path name[] := pg_catalog.current_schemas(false);
              is_new boolean := COALESCE(pg_catalog.array_position(path, 'public_01'::name) < COALESCE(LEAST(pg_catalog.array_position(path, 'public'::name), pg_catalog.array_position(path, 'public_00'::name)), 2147483647), false);
              up_0 boolean;
              down_0 boolean;
            BEGIN
              IF TG_OP = 'INSERT' THEN
                up_0 := NOT is_new;
                down_0 := is_new;
              ELSE
                up_0 := NOT (pg_catalog.record_image_ne(ROW(NEW."_pgroll_new_id"), ROW(OLD."_pgroll_new_id"))) AND (OLD."_pgroll_needs_backfill" OR pg_catalog.record_image_ne(ROW(NEW."id"), ROW(OLD."id")) OR (NOT is_new AND (false)));
                down_0 := NOT (pg_catalog.record_image_ne(ROW(NEW."id"), ROW(OLD."id"))) AND (pg_catalog.record_image_ne(ROW(NEW."_pgroll_new_id"), ROW(OLD."_pgroll_new_id")) OR (is_new AND (false))) AND NOT up_0;
              END IF;
              IF up_0 THEN NEW."_pgroll_new_id" := "public"."_pgroll_up_0_5_users_id"(NEW."id"); END IF;
              IF down_0 THEN NEW."id" := NEW."_pgroll_new_id"; END IF;
              NEW."_pgroll_needs_backfill" := false;
              RETURN NEW;
            END
            $sync$
              CREATE TRIGGER "~_pgroll_sync_insert" BEFORE INSERT ON "public"."users" FOR EACH ROW EXECUTE FUNCTION "public"."_pgroll_sync_users"()
              CREATE TRIGGER "~_pgroll_sync_update" BEFORE UPDATE ON "public"."users" FOR EACH ROW WHEN (NEW."_pgroll_needs_backfill" OR (NOT OLD."_pgroll_needs_backfill" AND (OLD."_pgroll_new_id" IS DISTINCT FROM NEW."_pgroll_new_id" OR OLD."id" IS DISTINCT FROM NEW."id"))) EXECUTE FUNCTION "public"."_pgroll_sync_users"()
            VALIDATE
            validate/0001/index _pgroll_dup_users_pkey [SHARE UPDATE EXCLUSIVE on public.users] Build { relation: RelationName { schema: "public", name: "users" } }
              CREATE UNIQUE INDEX CONCURRENTLY "_pgroll_dup_users_pkey" ON "public"."users" USING btree ("_pgroll_new_id")
            validate/0001/foreign-key _pgroll_dup_orders_user [SHARE ROW EXCLUSIVE on public.orders, SHARE ROW EXCLUSIVE on public.users] Metadata
              LOCK TABLE "public"."orders" IN SHARE ROW EXCLUSIVE MODE
              ALTER TABLE "public"."orders" ADD CONSTRAINT "_pgroll_dup_orders_user" FOREIGN KEY (user_id) REFERENCES public.users("_pgroll_new_id") NOT VALID
            validate/0001/validate _pgroll_dup_orders_user [SHARE UPDATE EXCLUSIVE on public.orders, ROW SHARE on public.users] Scan { relation: RelationName { schema: "public", name: "orders" } }
              ALTER TABLE "public"."orders" VALIDATE CONSTRAINT "_pgroll_dup_orders_user"
            validate/0001/validate _pgroll_check_not_null_id [SHARE UPDATE EXCLUSIVE on public.users] Scan { relation: RelationName { schema: "public", name: "users" } }
              ALTER TABLE "public"."users" VALIDATE CONSTRAINT "_pgroll_check_not_null_id"
            validate/0001/validate positive [SHARE UPDATE EXCLUSIVE on public.users] Scan { relation: RelationName { schema: "public", name: "users" } }
              ALTER TABLE "public"."users" VALIDATE CONSTRAINT "positive"
            COMPLETE
            complete/0001/table users [ACCESS EXCLUSIVE on public.users, ACCESS EXCLUSIVE on public.orders] Metadata
              DROP VIEW IF EXISTS "public_00"."users"
              DROP TRIGGER IF EXISTS "~_pgroll_sync_update" ON "public"."users"
              DROP TRIGGER IF EXISTS "~_pgroll_sync_insert" ON "public"."users"
              DROP FUNCTION IF EXISTS "public"."_pgroll_sync_users"()
              DROP FUNCTION IF EXISTS "public"."_pgroll_up_0_5_users_id"(int)
              ALTER TABLE "public"."orders" DROP CONSTRAINT IF EXISTS "orders_user"
              ALTER TABLE "public"."users" DROP COLUMN IF EXISTS "id", DROP COLUMN IF EXISTS "_pgroll_needs_backfill"
              ALTER TABLE "public"."users" RENAME COLUMN "_pgroll_new_id" TO "id"
              ALTER TABLE "public"."users" ALTER COLUMN "id" SET NOT NULL
              ALTER TABLE "public"."users" DROP CONSTRAINT "_pgroll_check_not_null_id"
              ALTER TABLE "public"."users" ADD CONSTRAINT "users_pkey" PRIMARY KEY USING INDEX "_pgroll_dup_users_pkey"
              ALTER TABLE "public"."orders" RENAME CONSTRAINT "_pgroll_dup_orders_user" TO "orders_user"
            complete/9999/drop-version [] Metadata
              DROP SCHEMA IF EXISTS "public_00" CASCADE
            ROLLBACK
            rollback/0000/version [] Metadata
              DROP SCHEMA IF EXISTS "public_01" CASCADE
            rollback/0000/foreign-key _pgroll_dup_orders_user [ACCESS EXCLUSIVE on public.orders] Metadata
              ALTER TABLE IF EXISTS "public"."orders" DROP CONSTRAINT IF EXISTS "_pgroll_dup_orders_user"
            rollback/0001/columns users [ACCESS EXCLUSIVE on public.users] Metadata
              DROP TRIGGER IF EXISTS "~_pgroll_sync_update" ON "public"."users"
              DROP TRIGGER IF EXISTS "~_pgroll_sync_insert" ON "public"."users"
              DROP FUNCTION IF EXISTS "public"."_pgroll_sync_users"()
              DROP FUNCTION IF EXISTS "public"."_pgroll_up_0_5_users_id"(int)
              ALTER TABLE "public"."users" DROP CONSTRAINT IF EXISTS "positive", DROP COLUMN IF EXISTS "_pgroll_new_id", DROP COLUMN IF EXISTS "_pgroll_needs_backfill"
            backfill/public.users by Columns(["id"]): [Assignment { column: "_pgroll_new_id", value: "\"public\".\"_pgroll_up_0_5_users_id\"(\"id\")" }, Assignment { column: "_pgroll_needs_backfill", value: "false" }]
        "#]],
    );
}

#[test]
fn an_added_column() {
    check_plan(
        "add_column: {table: users, column: {name: Loud, type: text, unique: true}, up: upper(email)}",
        &expect![[r#"
            START
            start/0001/columns users [ACCESS EXCLUSIVE on public.users] Metadata
              CREATE OR REPLACE FUNCTION "public"."_pgroll_up_0_5_users_Loud"("email" text) RETURNS text LANGUAGE sql RETURN (upper(email)
            )
              GRANT EXECUTE ON FUNCTION "public"."_pgroll_up_0_5_users_Loud"(text) TO PUBLIC
              ALTER TABLE "public"."users" ADD COLUMN "_pgroll_new_Loud" text, ADD COLUMN "_pgroll_needs_backfill" boolean NOT NULL DEFAULT true, ADD CONSTRAINT "_pgroll_check_not_null__pgroll_new_Loud" CHECK ("_pgroll_new_Loud" IS NOT NULL) NOT VALID
              CREATE OR REPLACE FUNCTION "public"."_pgroll_sync_users"() RETURNS trigger LANGUAGE plpgsql AS $sync$
            DECLARE
              path name[] := pg_catalog.current_schemas(false);
              is_new boolean := COALESCE(pg_catalog.array_position(path, 'public_01'::name) < COALESCE(LEAST(pg_catalog.array_position(path, 'public'::name), pg_catalog.array_position(path, 'public_00'::name)), 2147483647), false);
              up_0 boolean;
            BEGIN
              IF TG_OP = 'INSERT' THEN
                up_0 := NOT is_new;
              ELSE
                up_0 := NOT (pg_catalog.record_image_ne(ROW(NEW."_pgroll_new_Loud"), ROW(OLD."_pgroll_new_Loud"))) AND (OLD."_pgroll_needs_backfill" OR false OR (NOT is_new AND (pg_catalog.record_image_ne(ROW(NEW."email"), ROW(OLD."email")))));
              END IF;
              IF up_0 THEN NEW."_pgroll_new_Loud" := "public"."_pgroll_up_0_5_users_Loud"(NEW."email"); END IF;
              NEW."_pgroll_needs_backfill" := false;
              RETURN NEW;
            END
            $sync$
              CREATE TRIGGER "~_pgroll_sync_insert" BEFORE INSERT ON "public"."users" FOR EACH ROW EXECUTE FUNCTION "public"."_pgroll_sync_users"()
              CREATE TRIGGER "~_pgroll_sync_update" BEFORE UPDATE ON "public"."users" FOR EACH ROW WHEN (NEW."_pgroll_needs_backfill" OR (NOT OLD."_pgroll_needs_backfill" AND (OLD."_pgroll_new_Loud" IS DISTINCT FROM NEW."_pgroll_new_Loud" OR OLD."email" IS DISTINCT FROM NEW."email"))) EXECUTE FUNCTION "public"."_pgroll_sync_users"()
            VALIDATE
            validate/0001/index _pgroll_uniq_5_users_Loud [SHARE UPDATE EXCLUSIVE on public.users] Build { relation: RelationName { schema: "public", name: "users" } }
              CREATE UNIQUE INDEX CONCURRENTLY "_pgroll_uniq_5_users_Loud" ON "public"."users" ("_pgroll_new_Loud")
            validate/0001/validate _pgroll_check_not_null__pgroll_new_Loud [SHARE UPDATE EXCLUSIVE on public.users] Scan { relation: RelationName { schema: "public", name: "users" } }
              ALTER TABLE "public"."users" VALIDATE CONSTRAINT "_pgroll_check_not_null__pgroll_new_Loud"
            COMPLETE
            complete/0001/table users [ACCESS EXCLUSIVE on public.users] Metadata
              DROP VIEW IF EXISTS "public_00"."users"
              DROP TRIGGER IF EXISTS "~_pgroll_sync_update" ON "public"."users"
              DROP TRIGGER IF EXISTS "~_pgroll_sync_insert" ON "public"."users"
              DROP FUNCTION IF EXISTS "public"."_pgroll_sync_users"()
              DROP FUNCTION IF EXISTS "public"."_pgroll_up_0_5_users_Loud"(text)
              ALTER TABLE "public"."users" DROP COLUMN IF EXISTS "_pgroll_needs_backfill"
              ALTER TABLE "public"."users" RENAME COLUMN "_pgroll_new_Loud" TO "Loud"
              ALTER TABLE "public"."users" ALTER COLUMN "Loud" SET NOT NULL
              ALTER TABLE "public"."users" DROP CONSTRAINT "_pgroll_check_not_null__pgroll_new_Loud"
              ALTER TABLE "public"."users" ADD CONSTRAINT "users_Loud_key" UNIQUE USING INDEX "_pgroll_uniq_5_users_Loud"
            complete/9999/drop-version [] Metadata
              DROP SCHEMA IF EXISTS "public_00" CASCADE
            ROLLBACK
            rollback/0000/version [] Metadata
              DROP SCHEMA IF EXISTS "public_01" CASCADE
            rollback/0001/columns users [ACCESS EXCLUSIVE on public.users] Metadata
              DROP TRIGGER IF EXISTS "~_pgroll_sync_update" ON "public"."users"
              DROP TRIGGER IF EXISTS "~_pgroll_sync_insert" ON "public"."users"
              DROP FUNCTION IF EXISTS "public"."_pgroll_sync_users"()
              DROP FUNCTION IF EXISTS "public"."_pgroll_up_0_5_users_Loud"(text)
              ALTER TABLE "public"."users" DROP CONSTRAINT IF EXISTS "users_Loud_key", DROP COLUMN IF EXISTS "_pgroll_new_Loud", DROP COLUMN IF EXISTS "_pgroll_needs_backfill"
            backfill/public.users by Columns(["id"]): [Assignment { column: "_pgroll_new_Loud", value: "\"public\".\"_pgroll_up_0_5_users_Loud\"(\"email\")" }, Assignment { column: "_pgroll_needs_backfill", value: "false" }]
        "#]],
    );
}
