use super::{ColumnSample, Samples, decide, render_yaml};
use crate::catalog::Catalog;
use crate::transform::plan::sketch::{catalog, foreign_key, name, partition};
use crate::transform::plan::{Confidence, Decision, Decisions, Judgement, bind};
use crate::transform::spec::{Spec, parse};
use crate::transform::{Rule, Transform, UnknownPath};
use std::collections::BTreeMap;

/// Adds values of `schema.table.column`.
fn put(samples: &mut Samples, path: &str, values: &[String]) {
    let (table, column) = path.rsplit_once('.').unwrap();
    let table = samples.tables.entry(name(table)).or_default();
    table.row_count = table.row_count.max(values.len());
    table.columns.insert(column.to_owned(), ColumnSample::new(values.to_vec(), 0));
}

/// `count` values in which `{}` is the number.
fn series(count: usize, pattern: &str) -> Vec<String> {
    (0..count).map(|at| pattern.replace("{}", &at.to_string())).collect()
}

fn cycle(count: usize, values: &[&str]) -> Vec<String> {
    values.iter().cycle().take(count).map(|value| (*value).to_owned()).collect()
}

/// Decides one column of the table `public.things`.
fn one(column: &str, values: &[String]) -> Decision {
    in_table("things", column, values)
}

fn in_table(table: &str, column: &str, values: &[String]) -> Decision {
    let catalog = catalog(&[&format!("public.{table}: {column}")]);
    let (column, _) = column.split_once(' ').unwrap();
    let mut samples = Samples::default();
    put(&mut samples, &format!("public.{table}.{column}"), values);
    decide(&catalog, &samples)
        .get(&name(&format!("public.{table}")), column)
        .cloned()
        .expect("a decision")
}

#[test]
fn a_name_confirmed_by_values_is_certain() {
    let found = one("email text", &series(200, "u{}@corp.com"));
    assert_eq!((found.class, found.confidence), ("email", Confidence::Certain));
    assert_eq!(found.evidence, "name matches email; 100 % of 200 values are e-mail addresses");
    assert_eq!(found.rule, Rule::plain(Transform::Email));
}

#[test]
fn values_refute_a_name() {
    let found = one("mail text", &series(50, "{}"));
    assert_ne!(found.class, "email");
    assert_eq!(found.rule.transform, Transform::TextFill, "unknown text is closed all the same");
    let found = one("email text", &cycle(200, &["daily", "weekly", "never"]));
    assert_eq!((found.class, found.rule.transform), ("code", Transform::Code));
}

#[test]
fn values_speak_where_the_name_says_nothing() {
    let cases: &[(&str, &[String], &str, Transform)] = &[
        ("c1 text", &series(30, "u{}@corp.com"), "email", Transform::Email),
        ("c2 text", &series(30, "10.0.0.{}"), "ip", Transform::Ip),
        ("c3 text", &series(30, "https://x.io/{}"), "url", Transform::Url),
        ("c4 text", &series(30, "+49 30 12345{}"), "phone", Transform::Phone),
        ("c5 text", &cycle(10, &["123-45-6789", "536-90-4399"]), "ssn_us", Transform::Ssn),
        ("c6 text", &series(30, "{} Main Street"), "street", Transform::Street),
        ("username text", &series(30, "u{}@corp.com"), "email", Transform::Email),
        (
            "c7 text",
            &cycle(
                16,
                &[
                    "Ann Lee", "Bob Hall", "Carl Fox", "Dan Ray", "Emma Orr", "Paul Kay",
                    "Mary Zed", "John Poe",
                ],
            ),
            "full_name",
            Transform::FullName,
        ),
        ("c8 text", &series(9, "please call a{}@b.com back"), "free_text", Transform::TextFill),
        (
            "c9 text",
            &series(9, "a long story that goes on and on about what happened yesterday, part {}"),
            "free_text",
            Transform::TextFill,
        ),
    ];
    for (column, values, class, transform) in cases {
        let found = one(column, values);
        assert_eq!((found.class, &found.rule.transform), (*class, transform), "{column}");
    }
}

#[test]
fn text_is_kept_only_under_a_guard_that_looks_at_every_value() {
    for (column, values) in [
        ("progress text", cycle(200, &["new", "paid"])),
        ("status text", Vec::new()),
        ("parent_id text", series(60, "0b0e2b5e-0d6c-4b8e-9d5e-2f6f3c1c7a{}")),
        ("code text", series(60, "Zq70001234{}")),
        ("note text", cycle(200, &["73935174001", "73935174002"])),
    ] {
        assert!(!one(column, &values).rule.is_keep(), "{column}");
    }
}

#[test]
fn codes_digests_and_labels_are_kept_with_their_evidence() {
    let states = cycle(200, &["new", "paid", "sent"]);
    let digests = series(60, "d41d8cd98f00b204e9800998ecf8{}").into_iter().map(|text| {
        let mut text = text;
        text.truncate(32);
        format!("{text:0<32}")
    });
    let cases: &[(&str, &[String], &str, &str)] = &[
        ("progress text", &states, "code", "3 distinct short values in 200"),
        ("status text", &[], "code", "name says code; no values"),
        (
            "content_md5 text",
            &digests.collect::<Vec<_>>(),
            "digest",
            "name and 60 values say digest",
        ),
        (
            "sku text",
            &series(100, "AB-{}"),
            "code",
            "name says code; nobody is named in 100 values",
        ),
        (
            "title text",
            &series(100, "Widget {}"),
            "label",
            "name says label; nobody is named in 100 values",
        ),
    ];
    for (column, values, class, evidence) in cases {
        let found = one(column, values);
        assert_eq!((found.class, found.evidence.as_str()), (*class, *evidence), "{column}");
        assert!(found.rule.transform == Transform::Code && found.judgement == Judgement::Harmless);
    }
}

#[test]
fn a_label_in_a_table_of_people_is_a_name() {
    let found = in_table("customers", "name text", &series(40, "Firma {}"));
    assert_eq!((found.class, &found.rule.transform), ("full_name", &Transform::FullName));
}

#[test]
fn text_of_which_nothing_is_known_is_closed() {
    for (column, transform) in [
        ("thing text", Transform::TextFill),
        ("thing text[]", Transform::TextFill),
        ("thing citext", Transform::TextFill),
        ("thing bpchar(3)", Transform::TextFill),
        ("thing bytea", Transform::TextFill),
        ("thing xml", Transform::Null),
        ("thing hstore", Transform::Null),
        ("thing tsvector", Transform::Null),
        ("thing inet", Transform::Ip),
        ("thing macaddr", Transform::Mac),
        ("thing geometry", Transform::Null),
        ("thing vector", Transform::Null),
        ("thing text unique", Transform::HashToken { length: 24 }),
        ("thing varchar(6) unique", Transform::Alnum),
    ] {
        let found = one(column, &[]);
        assert_eq!(found.rule.transform, transform, "{column}");
        assert_ne!(found.judgement, Judgement::Harmless, "{column}");
    }
    let found = one("thing jsonb", &[]);
    let empty = Transform::Json { paths: BTreeMap::new(), unknown: UnknownPath::Fill };
    assert_eq!(found.rule.transform, empty);
}

#[test]
fn a_rule_fits_its_column() {
    for (column, transform) in [
        ("phone text unique", Transform::Digits),
        ("phone int8", Transform::Phone),
        ("ssn int4 unique", Transform::Digits),
        ("cvv varchar(4) notnull", Transform::Digits),
        ("cvv varchar(4)", Transform::Null),
        ("avatar bytea notnull", Transform::TextFill),
        ("email varchar(12) unique", Transform::Alnum),
        ("full_name text unique", Transform::Alnum),
        ("token varchar(10)", Transform::HashToken { length: 10 }),
        ("token bytea", Transform::TextFill),
        ("account_number numeric", Transform::Integer),
        ("birth_year int4", Transform::NumberBucket { width: 5 }),
        ("latitude float8", Transform::NumberBucket { width: 1 }),
        ("salary numeric", Transform::NumberNoise { percent: 10 }),
        ("embedding float4[] notnull", Transform::NumberNoise { percent: 90 }),
    ] {
        assert_eq!(one(column, &[]).rule.transform, transform, "{column}");
    }
}

#[test]
fn documents_get_a_rule_per_path_and_go_if_their_keys_are_people() {
    let document = |text: &str| cycle(10, &[text]);
    let found = one("extra text", &document(r#"{"email": "a@b.com", "n": 1}"#));
    let Transform::Json { paths, .. } = found.rule.transform else { panic!("{found:?}") };
    assert_eq!(paths.get("$.email"), Some(&Rule::plain(Transform::Email)));
    let keyed = document(r#"{"a@b.com": {"n": 1}}"#);
    assert_eq!(one("extra jsonb", &keyed).rule.transform, Transform::Null);
    let empty = Transform::Constant { value: "{}".into() };
    assert_eq!(one("extra jsonb notnull", &keyed).rule.transform, empty);
}

#[test]
fn places_and_names_on_no_list_are_still_places_and_names() {
    let found = one("city text", &cycle(200, &["Xanadu", "Ys", "Lyonesse"]));
    assert_eq!(found.rule.transform, Transform::City);
    let found = in_table("users", "first_name text", &cycle(200, &["Qfwfq", "Zzz"]));
    assert_eq!(found.rule.transform, Transform::FirstName);
}

#[test]
fn a_weak_name_on_a_number_needs_its_values() {
    let catalog = catalog(&["public.t: cap int4, mobile int8, lat float8"]);
    let mut samples = Samples::default();
    put(&mut samples, "public.t.cap", &series(40, "{}"));
    put(&mut samples, "public.t.mobile", &series(40, "15550100{}"));
    let decisions = decide(&catalog, &samples);
    let get = |column: &str| decisions.get(&name("public.t"), column).map(|found| found.class);
    assert_eq!((get("cap"), get("mobile"), get("lat")), (None, Some("phone"), Some("geo")));
}

#[test]
fn sensitive_codes_are_kept_and_marked_but_not_sensitive_text() {
    let found = one("religion text", &cycle(100, &["a", "b"]));
    assert!(found.sensitive && found.rule.transform == Transform::Code);
    assert!(found.evidence.starts_with("sensitive, kept: "), "{}", found.evidence);
    let found = one("diagnosis text", &series(50, "patient feels odd since day {}"));
    assert_eq!(found.rule.transform, Transform::TextFill);
    assert_eq!(one("religion text", &[]).rule.transform, Transform::TextFill);
}

/// A catalog with most of what can happen, and samples for it.
fn clinic() -> (Catalog, Samples) {
    let mut catalog = catalog(&[
        "public.patients: id int8 pk, email text unique notnull, name text, born date, ssn text, \
         religion text, plan text, label text generated, meta jsonb, photo bytea, ip inet",
        "public.visits: id int8 pk, patient_id int8, patient_email text, visit_date date, \
         notes text, status text, null text",
        "public.log: at timestamptz, who text, \"odd\" text",
        "public.log_1: at timestamptz, who text, \"odd\" text",
        "audit.dump: x xml",
        "public.empty: id int4 pk",
    ]);
    foreign_key(&mut catalog, "public.visits(patient_id) -> public.patients(id)");
    foreign_key(&mut catalog, "public.visits(patient_email) -> public.patients(email)");
    partition(&mut catalog, "public.log_1", "public.log");
    let mut samples = Samples::default();
    put(&mut samples, "public.patients.email", &series(50, "zorro{}@corp.com"));
    put(&mut samples, "public.patients.name", &cycle(50, &["Zorro Quux", "Mary Zorro"]));
    put(&mut samples, "public.patients.ssn", &series(50, "123-45-67{}"));
    put(&mut samples, "public.patients.plan", &cycle(50, &["zorro", "basic"]));
    put(&mut samples, "public.patients.religion", &cycle(50, &["zorroism", "other"]));
    let document =
        r#"{"ip": "10.9.8.7", "contacts": [{"email": "zorro@corp.com"}], "note": "zorro", "n": 1}"#;
    put(&mut samples, "public.patients.meta", &cycle(5, &[document]));
    put(&mut samples, "public.visits.notes", &series(50, "zorro called from +1 555 010 44{}"));
    put(&mut samples, "public.visits.status", &cycle(50, &["zorro", "closed"]));
    (catalog, samples)
}

#[test]
fn the_rendered_file_binds_back_to_the_same_plan() {
    let (catalog, samples) = clinic();
    let decisions = decide(&catalog, &samples);
    for head in [
        "version: 1",
        "version: 1\nprofile: safe_harbor",
        "version: 1\nexclude: [audit.*]\nschema_only: [public.log]",
        "version: 1\ndefaults: {free_text: \"null\", unclassified: fill}",
        "version: 1\ntables: {public.visits: {where: \"visit_date > '2020-01-01'\", columns: {\"null\": \"null\", \
         notes: {transform: constant, value: \"a \\\"b\\\" # c\"}}}}\n\
         references: [{from: public.log.who, to: public.patients.name}]",
    ] {
        let spec = parse(head, "in.yaml").unwrap();
        let plan = bind(&spec, &catalog, &decisions).unwrap();
        let text = render_yaml(&plan, &catalog, &decisions);
        let again = parse(&text, "out.yaml").unwrap_or_else(|found| panic!("{found:#?}\n{text}"));
        for decisions in [&decisions, &Decisions::default()] {
            let bound = bind(&again, &catalog, decisions).unwrap_or_else(|e| panic!("{e:#?}"));
            assert_eq!(bound.config_hash(), plan.config_hash(), "{head}\n{text}");
        }
        assert!(!text.to_lowercase().contains("zorro"), "no sampled value:\n{text}");
    }
}

#[test]
fn the_file_shows_evidence_keeps_and_followers() {
    let (catalog, samples) = clinic();
    let decisions = decide(&catalog, &samples);
    let plan = bind(&parse("version: 1", "f").unwrap(), &catalog, &decisions).unwrap();
    expect_test::expect![[r#"
        # Written by `backlot clone config`. One rule per column; what no rule names is kept if it
        # cannot hold text. Columns that follow another by foreign key are listed as comments.
        version: 1
        profile: realistic
        defaults: {detected: transform, free_text: fill, unclassified: keep, new_column: detect}
        tables:
          audit.dump:
            columns:
              x: "null"                          # documents of any content
          public.log:
            columns:
              who: text_fill                     # no values to judge by
              "\"odd\"": text_fill               # no values to judge by
          public.patients:
            columns:
              email: email                       # name matches email; 100 % of 50 values are e-mail addresses
              name: full_name                    # name matches full_name; 50 % of 50 values are names of people
              born: {transform: date_shift, max_days: 180} # name matches dob
              ssn: ssn                           # name matches ssn_us; 80 % of 50 values are social security numbers
              religion: code                     # sensitive, kept: name matches special_category; 2 distinct short values in 50
              plan: code                         # 2 distinct short values in 50
              meta: {transform: json, paths: {"$.contacts[*].email": email, "$.ip": ip}, unknown: fill} # 5 documents hold ip, email
              photo: "null"                      # name matches biometric_image
              ip: ip                             # type inet
          public.visits:
            columns:
              visit_date: {transform: date_shift, max_days: 180, subject: "patient_id"} # name matches event_date
              notes: text_fill                   # name matches free_text; 50 of 50 values mention an address or a number of somebody
              status: code                       # 2 distinct short values in 50
              "null": text_fill                  # no values to judge by
              # patient_email follows public.patients.email
    "#]].assert_eq(&render_yaml(&plan, &catalog, &decisions));
}

#[test]
fn nothing_that_is_printed_holds_a_sampled_value() {
    let (catalog, samples) = clinic();
    let decisions = decide(&catalog, &samples);
    for text in [format!("{samples:?}"), format!("{decisions:?}")] {
        assert!(!text.to_lowercase().contains("zorro"), "{text}");
    }
    let found = bind(
        &parse("version: 1\ndefaults: {detected: error, unclassified: error}", "f").unwrap(),
        &catalog,
        &decisions,
    )
    .unwrap_err();
    assert!(!format!("{found:?}").to_lowercase().contains("zorro"));
}

#[test]
fn every_column_that_can_hold_text_is_decided() {
    let (catalog, _) = clinic();
    let decisions = decide(&catalog, &Samples::default());
    let spec = Spec::default();
    let plan = bind(&spec, &catalog, &decisions).unwrap();
    assert!(plan.warnings.is_empty(), "{:#?}", plan.warnings);
    for (_, column, decision) in decisions.iter() {
        assert!(!decision.evidence.is_empty(), "{column}");
    }
}

#[test]
fn dates_of_events_are_shifted_with_their_person() {
    let (catalog, samples) = clinic();
    let decisions = decide(&catalog, &samples);
    let date = decisions.get(&name("public.visits"), "visit_date").unwrap();
    let shift = |subject: Option<&str>| Transform::DateShift {
        max_days: 180,
        subject: subject.map(str::to_owned),
    };
    assert_eq!(date.rule.transform, shift(Some("patient_id")));
    let plan = bind(&Spec::default(), &catalog, &decisions).unwrap();
    let visits = plan.find(&name("public.visits")).unwrap();
    assert_eq!(visits.columns.get(3).unwrap().subject, [1]);
    let patients = plan.find(&name("public.patients")).unwrap();
    assert_eq!(patients.columns.get(3).unwrap().subject, [0]);
}
