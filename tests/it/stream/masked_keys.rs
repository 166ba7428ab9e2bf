//! Rows whose keys are masked are found by their masked keys: old keys and old rows are masked as
//! new ones are.

use super::oracle;
use crate::fidelity::keep_all_but;
use crate::support::{Database, Follow, Random, database, query_value, servers, sql};

const ROWS: u64 = 2000;
const CHANGES: u64 = 10_000;

const SCHEMA: &str = "
    create table people (email text primary key, name text, n int);
    create table letters (id int primary key, person_email text not null references people on update cascade on delete cascade, n int);
    create table badges (email text, code text, holder text, n int, primary key (email, code));
    create table loose (n int, name text, mail text, doc json, amount numeric);
    alter table loose replica identity full;
    create table indexed (id int primary key, mail text not null, n int);
    create unique index indexed_mail on indexed (mail);
    alter table indexed replica identity using index indexed_mail;
    create table parted (mail text, day date, n int, primary key (mail, day)) partition by range (day);
    create table parted_1 partition of parted for values from (minvalue) to ('2024-01-01');
    create table parted_2 partition of parted default;
    create table \"full\" (id int primary key, mail text, doc json, n int);
    alter table \"full\" replica identity full;";

const DOCUMENT: &str = "{transform: json, paths: {\"$.ip\": ip}, unknown: keep}";
const RULES: &[(&str, &str)] = &[
    ("public.people.email", "email"),
    ("public.people.name", "full_name"),
    ("public.letters.person_email", ""),
    ("public.badges.email", "email"),
    ("public.badges.code", "digits"),
    ("public.badges.holder", "full_name"),
    ("public.loose.name", "full_name"),
    ("public.loose.mail", "email"),
    ("public.loose.doc", DOCUMENT),
    ("public.indexed.mail", "email"),
    ("public.parted.mail", "email"),
    ("public.full.mail", "email"),
    ("public.full.doc", DOCUMENT),
];

fn fill(source: &Database) {
    sql(source, SCHEMA);
    sql(source, &format!(
        "insert into people select 'p' || i || '@corp.example', 'Ada ' || i, i from generate_series(1, {ROWS}) i;
         insert into letters select i, 'p' || i % {ROWS} + 1 || '@corp.example', i from generate_series(1, {ROWS}) i;
         insert into badges select 'b' || i / 3 || '@corp.example', lpad((i % 3 * 1234567)::text, 9, '0'), 'Eve', i from generate_series(1, {ROWS}) i;
         insert into loose select nullif(i % 7, 0), nullif('Bob ' || i % 5, 'Bob 3'), nullif('l' || i % 11 || '@corp.example', 'l5@corp.example'),
             (array['{{\"ip\": \"10.0.0.1\",  \"ip\":\"10.0.0.2\"}}', null, '[1, 2.50]', 'null'])[1 + i % 4]::json, nullif(i % 3, 0) + 0.10
             from generate_series(1, {ROWS}) i;
         insert into indexed select i, 'i' || i || '@corp.example', i from generate_series(1, {ROWS}) i;
         insert into parted select 'd' || i || '@corp.example', date '2020-01-01' + i, i from generate_series(1, {ROWS}) i;
         insert into \"full\" select i, nullif('f' || i % 13 || '@corp.example', 'f4@corp.example'), '{{\"ip\" : \"10.0.0.1\"}}', i from generate_series(1, {ROWS}) i;"
    ));
}

/// The n-th of a table's rows, in an order that holds whatever happens to the others.
fn nth(random: &mut Random, table: &str, key: &str) -> String {
    format!(
        "{key} = (select {key} from {table} order by md5({key}::text || '{}') limit 1)",
        random.below(1_000_000)
    )
}

/// An update or a delete of one row or some.
fn change(random: &mut Random, number: u64) -> String {
    let (person, mail, fast) = (random.below(ROWS), random.below(ROWS), random.below(ROWS));
    let loose = format!("ctid = (select ctid from loose offset {} limit 1)", random.below(400));
    match random.below(20) {
        0 | 1 => format!(
            "update people set email = 'new{number}@corp.example' where email = 'p{person}@corp.example'"
        ),
        2 => format!(
            "update people set name = null, n = n + 1 where {}",
            nth(random, "people", "email")
        ),
        3 => format!("delete from people where email = 'p{person}@corp.example'"),
        4 => format!("update letters set n = n + 1 where id = {fast}"),
        5 | 6 => format!(
            "update badges set n = -n, holder = 'Alan {number}' where email = 'b{}@corp.example'",
            person / 3
        ),
        7 => format!(
            "update badges set code = lpad((code::bigint + {number})::text, 9, '0') where email = 'b{}@corp.example' and code like '00%'",
            person / 3
        ),
        8 => format!(
            "update badges set email = 'c{number}@corp.example' where email = 'b{}@corp.example'",
            person / 3
        ),
        9 => format!("delete from badges where {}", nth(random, "badges", "email")),
        10 | 11 => format!("update loose set n = {number}, name = null where {loose}"),
        12 => format!(
            "update loose set mail = 'm{number}@corp.example', doc = '{{\"ip\": \"192.168.0.{}\"}}' where {loose}",
            number % 200
        ),
        13 => format!("delete from loose where {loose}"),
        14 => "update loose set amount = amount + 1 where ctid in (select ctid from loose limit 3)"
            .to_owned(),
        15 => format!(
            "update indexed set mail = 'j{number}@corp.example', n = n + 1 where mail = 'i{mail}@corp.example'"
        ),
        16 => format!("delete from indexed where mail = 'i{mail}@corp.example'"),
        17 => format!(
            "update parted set day = day + 700, n = n + 1 where mail = 'd{mail}@corp.example' and day < '2024-01-01'"
        ),
        18 => format!(
            "update \"full\" set mail = 'g{number}@corp.example', id = -id where id = {fast}"
        ),
        _ => format!("delete from parted where mail = 'd{mail}@corp.example'"),
    }
}

#[test]
fn rows_are_found_by_their_masked_keys() {
    let mut random = Random::seeded();
    let pairs = [
        (servers().next().unwrap(), servers().last().unwrap()),
        (servers().last().unwrap(), servers().last().unwrap()),
    ];
    for (from, to) in pairs {
        let (source, target) = (database(from, "masked_keys"), database(to, "masked_keys_to"));
        fill(&source);
        let config = keep_all_but(&source, RULES);
        let follow = Follow::new(&source.url, &target.url).config(&config);
        follow.start().expect_code(0);
        let stream = follow.stream(&[]);
        // Several to a transaction, of different sizes.
        let mut number = 0;
        while number < CHANGES {
            let count = 1 + random.below(200);
            let changes = (0..count).map(|at| change(&mut random, number + at)).collect::<Vec<_>>();
            sql(&source, &changes.join(";"));
            number += count;
        }
        stream.signal(rustix::process::Signal::TERM);
        stream.wait().expect_code(0);
        follow.catch_up().expect_code(0);
        oracle::assert_equal(&oracle::transformed(&source, &config), &target, &[]);
        let raw = "select count(*) from people where email like '%@corp.example'";
        assert_eq!(query_value(&target, raw), "0");
    }
}
