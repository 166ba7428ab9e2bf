use super::sketch::{catalog, foreign_key, name, partition};
use super::*;
use crate::catalog::Catalog;
use crate::transform::spec::{Diagnostic, Severity, parse};
use crate::transform::{Rule, Transform};
use std::fmt::Write as _;

fn bind_text(yaml: &str, catalog: &Catalog) -> Result<Plan, Vec<Diagnostic>> {
    bind(&parse(yaml, "t.yaml").unwrap(), catalog, &Decisions::default())
}

/// Binds rules for tables given as `table.column: rule` lines.
fn rules(lines: &[&str], catalog: &Catalog) -> Result<Plan, Vec<Diagnostic>> {
    bind_text(&file(lines), catalog)
}

fn file(lines: &[&str]) -> String {
    let mut text = String::from("version: 1\ntables:\n");
    for line in lines {
        let (column, rule) = line.split_once(": ").unwrap();
        let (table, column) = column.rsplit_once('.').unwrap();
        let _ = writeln!(text, "  {table}:\n    columns: {{{column}: {rule}}}");
    }
    text
}

fn column<'a>(plan: &'a Plan, catalog: &Catalog, path: &str) -> &'a ColumnPlan {
    let (table, column) = path.rsplit_once('.').unwrap();
    let id = catalog.find(&name(table)).unwrap();
    let (at, _) = catalog.table(id).column(column).unwrap();
    plan.table(id).unwrap().columns.get(at).unwrap()
}

fn transform(plan: &Plan, catalog: &Catalog, path: &str) -> Transform {
    column(plan, catalog, path).rule.transform.clone()
}

fn decision(transform: Transform, class: &'static str, confidence: Confidence) -> Decision {
    Decision {
        rule: Rule::plain(transform),
        judgement: Judgement::Personal,
        class,
        evidence: format!("name matches {class}"),
        confidence,
        sensitive: false,
    }
}

fn shop() -> Catalog {
    let mut catalog = catalog(&[
        "public.users: id int8 pk, email text unique notnull, name text, boss int8, born date, \
         full text generated, state enum",
        "public.orders: id int8 pk, user_id int8, user_email text, note text, placed timestamptz",
        "audit.log: id int8 pk, mail text, body jsonb notnull, doc xml notnull",
    ]);
    foreign_key(&mut catalog, "public.orders(user_id) -> public.users(id)");
    foreign_key(&mut catalog, "public.orders(user_email) -> public.users(email)");
    foreign_key(&mut catalog, "public.users(boss) -> public.users(id)");
    catalog
}

const NO_LOG: &str = "version: 1\nexclude: [audit.*]\n";

#[test]
fn a_rule_on_a_referenced_key_reaches_every_referencing_column() {
    let catalog = shop();
    let text = format!("{NO_LOG}tables: {{public.users: {{columns: {{email: email}}}}}}");
    let plan = bind_text(&text, &catalog).unwrap();
    let follower = column(&plan, &catalog, "public.orders.user_email");
    assert_eq!(follower.rule.transform, Transform::Email);
    assert_eq!(follower.origin, Origin::ForeignKey { from: "public.users.email".into() });
    let source = column(&plan, &catalog, "public.users.email");
    assert_eq!(source.origin, Origin::Config { line: 3 });
    assert!(source.shape.unique && !follower.shape.unique);
}

#[test]
fn a_rule_on_a_referencing_column_reaches_the_key() {
    let catalog = shop();
    let text = format!("{NO_LOG}tables: {{public.orders: {{columns: {{user_id: integer}}}}}}");
    let plan = bind_text(&text, &catalog).unwrap();
    for path in ["public.users.id", "public.users.boss", "public.orders.user_id"] {
        assert_eq!(transform(&plan, &catalog, path), Transform::Integer, "{path}");
    }
    assert_eq!(transform(&plan, &catalog, "public.orders.id"), Transform::Keep);
}

#[test]
fn rules_that_contradict_inside_a_class_name_both_places() {
    let catalog = shop();
    let text = format!(
        "{NO_LOG}tables:\n  public.users:\n    columns: {{email: email}}\n  public.orders:\n    \
         columns: {{user_email: {{transform: email, domain: other}}}}"
    );
    let found = bind_text(&text, &catalog).unwrap_err();
    expect_test::expect![[r"
        t.yaml:7:27: error: `public.orders.user_email` is `email in domain other` here, but `public.users.email` is `email` at t.yaml:5:22: a foreign key joins them
          hint: columns that hold the same values take one rule: leave one of the two out"]]
    .assert_eq(&found.first().unwrap().to_string());
    assert_eq!(found.len(), 1);
    let same = format!(
        "{NO_LOG}tables:\n  public.users:\n    columns: {{email: email}}\n  public.orders:\n    \
         columns: {{user_email: {{transform: email, domain: email}}}}"
    );
    assert!(bind_text(&same, &catalog).is_ok(), "the default domain, spelled out, is the same");
}

#[test]
fn composite_foreign_keys_join_pairwise() {
    let mut catalog = catalog(&[
        "public.a: region text pk, code text pk",
        "public.b: a_region text, a_code text",
    ]);
    foreign_key(&mut catalog, "public.b(a_region, a_code) -> public.a(region, code)");
    let plan = rules(&["public.a.code: alnum", "public.b.a_region: keep"], &catalog).unwrap();
    assert_eq!(transform(&plan, &catalog, "public.b.a_code"), Transform::Alnum);
    assert_eq!(transform(&plan, &catalog, "public.a.region"), Transform::Keep);
}

#[test]
fn partitions_and_children_take_their_parents_rule() {
    let mut catalog = catalog(&[
        "public.log: id int8, mail text",
        "public.log_1: mail text, id int8",
        "public.log_2: id int8, mail text",
    ]);
    partition(&mut catalog, "public.log_1", "public.log");
    partition(&mut catalog, "public.log_2", "public.log");
    let plan = rules(&["public.log.mail: email"], &catalog).unwrap();
    for leaf in ["public.log_1.mail", "public.log_2.mail"] {
        let leaf = column(&plan, &catalog, leaf);
        assert_eq!(leaf.rule.transform, Transform::Email);
        assert_eq!(leaf.origin, Origin::PartitionRoot);
    }
    let found =
        rules(&["public.log.mail: email", "public.log_1.mail: keep"], &catalog).unwrap_err();
    let text = found.first().unwrap().to_string();
    assert!(text.contains("partition or child"), "{text}");
    let filtered = "version: 1\ntables: {public.log: {where: \"id > 5\", columns: {mail: keep}}}";
    let plan = bind_text(filtered, &catalog).unwrap();
    assert!(plan.tables.iter().all(|table| table.filter.as_deref() == Some("id > 5")));
}

#[test]
fn references_join_columns_that_no_foreign_key_joins() {
    let catalog = catalog(&["public.a: mail text", "public.b: mail text"]);
    let text = "version: 1\ntables: {public.a: {columns: {mail: email}}}\n\
                references: [{from: public.b.mail, to: public.a.mail}]";
    let plan = bind_text(text, &catalog).unwrap();
    let follower = column(&plan, &catalog, "public.b.mail");
    assert_eq!(
        (&follower.rule.transform, &follower.origin),
        (&Transform::Email, &Origin::Reference)
    );
}

#[test]
fn text_without_a_decision_is_filled_and_said_so() {
    let catalog = catalog(&[
        "public.t: id int8 pk, label text, code varchar(30) unique, doc jsonb, raw bytea notnull, \
         spent interval, n int4, x xml, tags text[]",
    ]);
    let plan = bind_text("version: 1", &catalog).unwrap();
    let get = |name: &str| transform(&plan, &catalog, &format!("public.t.{name}"));
    assert_eq!(get("label"), Transform::TextFill);
    assert_eq!(get("code"), Transform::HashToken { length: 24 });
    assert!(matches!(get("doc"), Transform::Json { .. }));
    assert_eq!(get("raw"), Transform::TextFill);
    assert_eq!(get("x"), Transform::Null);
    assert_eq!(get("tags"), Transform::TextFill);
    for kept in ["id", "spent", "n"] {
        assert_eq!(get(kept), Transform::Keep, "{kept}");
    }
    assert_eq!(plan.warnings.len(), 6);
    assert!(plan.warnings.iter().all(|one| one.severity == Severity::Warning));
}

#[test]
fn a_column_that_cannot_be_closed_asks_for_a_decision() {
    let found = bind_text("version: 1", &shop()).unwrap_err();
    let text = found.first().unwrap().to_string();
    assert!(text.contains("`audit.log.doc` (xml) needs a rule"), "{text}");
    assert!(text.contains("these fit: keep, constant"), "{text}");
    assert_eq!(found.len(), 1);
}

#[test]
fn surrogate_keys_are_kept_against_weak_evidence_only() {
    let mut catalog = catalog(&[
        "public.patients: patient_id int8 pk",
        "public.visits: id int8 pk, patient int8",
        "public.people: ssn int8 pk",
    ]);
    foreign_key(&mut catalog, "public.visits(patient) -> public.patients(patient_id)");
    let mut decisions = Decisions::default();
    let weak = decision(Transform::Integer, "mrn", Confidence::Weak);
    decisions.insert(name("public.patients"), "patient_id", weak);
    let likely = decision(Transform::Digits, "ssn_us", Confidence::Likely);
    decisions.insert(name("public.people"), "ssn", likely);
    let plan = bind(&parse("version: 1", "f").unwrap(), &catalog, &decisions).unwrap();
    assert_eq!(transform(&plan, &catalog, "public.visits.patient"), Transform::Keep);
    assert_eq!(
        column(&plan, &catalog, "public.patients.patient_id").origin,
        Origin::Default(DefaultOrigin::SurrogateKey)
    );
    assert_eq!(transform(&plan, &catalog, "public.people.ssn"), Transform::Digits);
}

#[test]
fn a_detected_rule_that_does_not_fit_the_whole_class_falls_back_to_one_that_does() {
    let mut catalog = catalog(&["public.a: mail varchar(12) unique", "public.b: mail text"]);
    foreign_key(&mut catalog, "public.b(mail) -> public.a(mail)");
    let mut decisions = Decisions::default();
    let found = decision(Transform::Email, "email", Confidence::Certain);
    decisions.insert(name("public.b"), "mail", found);
    let plan = bind(&parse("version: 1", "f").unwrap(), &catalog, &decisions).unwrap();
    assert_eq!(transform(&plan, &catalog, "public.a.mail"), Transform::Alnum);
    assert_eq!(transform(&plan, &catalog, "public.b.mail"), Transform::Alnum);
}

#[test]
fn a_date_shift_is_keyed_by_its_subject() {
    let mut catalog = catalog(&[
        "public.patients: id int8 pk, born date",
        "public.visits: patient_id int8 pk, day date pk, left_at timestamptz",
        "public.days: day date pk",
        "public.notes: day date, x int4",
    ]);
    foreign_key(&mut catalog, "public.notes(day) -> public.days(day)");
    let shift = |subject: &str| format!("{{transform: date_shift{subject}}}");
    let lines = [
        format!("public.patients.born: {}", shift("")),
        format!("public.visits.day: {}", shift(", subject: patient_id")),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let plan = rules(&lines, &catalog).unwrap();
    assert_eq!(column(&plan, &catalog, "public.patients.born").subject, [0]);
    let day = column(&plan, &catalog, "public.visits.day");
    assert_eq!(day.subject, [0]);
    assert!(!day.shape.unique, "proven injective by its subject");
    let found = rules(&["public.days.day: date_shift"], &catalog).unwrap_err();
    assert!(found.iter().all(|one| one.message.contains("on a unique column")), "{found:?}");
    let found = rules(&["public.notes.day: {transform: date_shift, subject: z}"], &catalog);
    assert!(found.is_err());
    let found = rules(&["public.patients.born: {transform: date_shift, subject: idd}"], &catalog)
        .unwrap_err();
    assert_eq!(found.first().unwrap().hint.as_deref(), Some("did you mean `id`?"));
}

/// (rules, parts of each message in order of place, part of a hint)
type Bad = (&'static [&'static str], &'static [&'static str], &'static str);

const BAD: &[Bad] = &[
    (&["public.user.email: email"], &["no table `public.user`"], "did you mean `public.users`?"),
    (&["publik.users.email: email"], &["no table `publik.users`"], "`public.users`"),
    (&["other.orders.note: keep"], &["no table `other.orders`"], "`public.orders` in another"),
    (&["public.users.emial: email"], &["no column `emial`"], "did you mean `email`?"),
    (&["public.users.zzz: email"], &["no column `zzz`"], "`public.users` has: id, email"),
    (&["public.users.full: email"], &["computed by the target"], "columns it is computed from"),
    (&["public.users.email: \"null\""], &["not null"], "these fit"),
    (&["public.users.id: \"null\""], &["not null"], "these fit"),
    (&["public.users.email: {transform: constant, value: x}"], &["all values would be equal"], ""),
    (&["public.users.email: first_name"], &["two values can get the same"], "email, username"),
    (&["public.users.email: text_fill"], &["two values can get the same"], "hash_token"),
    (&["public.orders.user_email: full_name"], &["reaches `public.users.email` too"], ""),
    (&["public.users.born: email"], &["does not fit the type date"], "date_shift"),
    (&["public.orders.placed: integer"], &["does not fit the type timestamptz"], "date_bucket"),
    (&["public.users.state: text_fill"], &["does not fit the type enum"], "keep"),
    (&["public.users.state: {transform: constant, value: maybe}"], &["not a label"], "constant"),
    (&["public.users.id: email"], &["does not fit", "too", "too"], "integer"),
    (&["public.codes.code: email"], &["needs 26 characters, the column holds 10"], "alnum"),
    (&["public.codes.code: {transform: hash_token, length: 20}"], &["needs 20 characters"], ""),
    (&["public.codes.short: {transform: constant, value: toolong}"], &["needs 7 characters"], ""),
    (&["public.codes.n: {transform: constant, value: x}"], &["not a value of the type int4"], ""),
    (&["public.codes.shape: text_fill"], &["does not fit the type composite"], "keep, null"),
    (&["public.codes.span: {transform: constant, value: x}"], &["range"], "keep, null"),
    (&["public.codes.vec: text_fill"], &["tsvector"], "keep, null"),
    (&["public.codes.tags: integer"], &["does not fit the type text[]"], "text_fill"),
];

#[test]
fn every_bad_rule_is_refused_with_its_place_and_a_hint() {
    let mut catalog = shop();
    let more = super::sketch::catalog(&[
        "public.codes: code varchar(10) unique, short varchar(3), n int4, shape composite, \
         span range, vec tsvector, tags text[]",
    ]);
    catalog.tables.retain(|table| table.name.schema == "public");
    catalog.tables.extend(more.tables);
    catalog.tables.sort_by(|left, right| left.name.cmp(&right.name));
    for (lines, parts, hint) in BAD {
        let found = rules(lines, &catalog).expect_err(lines[0]);
        assert_eq!(found.len(), parts.len(), "{lines:?} {found:#?}");
        for (diagnostic, part) in found.iter().zip(*parts) {
            assert!(diagnostic.message.contains(part), "{part}: {diagnostic}");
            assert!(diagnostic.line >= 3 && diagnostic.column > 0, "{diagnostic}");
        }
        let hints: Vec<_> = found.iter().filter_map(|one| one.hint.as_deref()).collect();
        assert!(hints.iter().any(|text| text.contains(hint)), "{hint}: {hints:?}");
    }
}

#[test]
fn all_contradictions_are_reported_at_once() {
    let text = "version: 1
include: [public.*, sales.*]
exclude: [audit.*, public.lo*]
tables:
  public.users:
    columns:
      email: first_name
      nmae: full_name
      full: keep
      state: text_fill
  public.ordres: {}
references:
  - {from: public.orders.mail, to: public.users.email}
  - {from: public.orders.note, to: public.users.full}
";
    let found = bind_text(text, &shop()).unwrap_err();
    let lines: Vec<u32> = found.iter().map(|one| one.line).collect();
    assert_eq!(lines, [2, 3, 7, 8, 9, 10, 11, 13, 14], "{found:#?}");
    assert!(found.iter().all(|one| one.hint.is_some() || one.line < 4), "{found:#?}");
}

#[test]
fn policies_decide_what_neither_file_nor_detection_does() {
    let catalog = catalog(&["public.t: id int8 pk, label text, n int4, day date notnull"]);
    let with = |policy: &str| {
        bind_text(&format!("version: 1\ndefaults: {{unclassified: {policy}}}"), &catalog)
    };
    let plan = with("fill").unwrap();
    assert_eq!(transform(&plan, &catalog, "public.t.label"), Transform::TextFill);
    assert!(plan.warnings.is_empty());
    let plan = with("\"null\"").unwrap();
    assert_eq!(transform(&plan, &catalog, "public.t.label"), Transform::Null);
    assert_eq!(transform(&plan, &catalog, "public.t.n"), Transform::Null);
    assert_eq!(transform(&plan, &catalog, "public.t.day"), Transform::Keep);
    assert_eq!(with("error").unwrap_err().len(), 3);
}

#[test]
fn detected_columns_obey_the_files_policies() {
    let catalog = catalog(&["public.t: mail text, born date"]);
    let mut decisions = Decisions::default();
    let shift = Transform::DateShift { max_days: 180, subject: None };
    let mail = decision(Transform::Email, "email", Confidence::Certain);
    decisions.insert(name("public.t"), "mail", mail);
    decisions.insert(name("public.t"), "born", decision(shift, "dob", Confidence::Likely));
    let with = |text: &str| {
        bind(&parse(&format!("version: 1\n{text}"), "f").unwrap(), &catalog, &decisions)
    };
    let plan = with("").unwrap();
    assert!(matches!(
        column(&plan, &catalog, "public.t.mail").origin,
        Origin::Detected { class: "email", .. }
    ));
    let plan = with("profile: safe_harbor").unwrap();
    assert!(matches!(transform(&plan, &catalog, "public.t.born"), Transform::DateBucket { .. }));
    let plan = with("defaults: {detected: keep}").unwrap();
    assert_eq!(transform(&plan, &catalog, "public.t.mail"), Transform::Keep);
    let found = with("defaults: {detected: error}").unwrap_err();
    assert_eq!(found.len(), 2);
    let plan = with("tables: {public.t: {columns: {mail: keep}}}").unwrap();
    assert_eq!(transform(&plan, &catalog, "public.t.mail"), Transform::Keep, "the file wins");
}

#[test]
fn the_hash_tells_rules_apart_and_nothing_else() {
    let catalog = shop();
    let hash = |text: &str| bind_text(&format!("{NO_LOG}{text}"), &catalog).unwrap().config_hash();
    let one = hash("tables: {public.users: {columns: {email: email}}}");
    let same = hash(
        "# a comment\ntables:\n  public.users:\n    columns:\n      email: {transform: email, domain: email}",
    );
    assert_eq!(one, same);
    assert_eq!(one.len(), 64);
    for other in [
        "tables: {public.users: {columns: {email: username}}}",
        "tables: {public.users: {columns: {email: {transform: email, domain: x}}}}",
        "tables: {public.users: {where: \"id > 1\", columns: {email: email}}}",
        "schema_only: [public.orders]\ntables: {public.users: {columns: {email: email}}}",
    ] {
        assert_ne!(one, hash(other), "{other}");
    }
}

#[test]
fn excluded_tables_need_no_rules_and_leave_a_warning_where_others_refer_to_them() {
    let plan = bind_text("version: 1\nexclude: [public.users, audit.*]", &shop()).unwrap();
    assert_eq!(plan.find(&name("public.users")).unwrap().action, TableAction::Exclude);
    let dangling = plan.warnings.iter().filter(|one| one.message.contains("cannot hold")).count();
    assert_eq!(dangling, 2);
    let plan = bind_text("version: 1\ninclude: [public.orders]", &shop()).unwrap();
    assert_eq!(plan.find(&name("audit.log")).unwrap().action, TableAction::Exclude);
}
