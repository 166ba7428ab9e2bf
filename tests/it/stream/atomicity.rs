//! Nobody on the target ever sees a part of a source transaction.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
};

use super::oracle;
use crate::support::{
    Database, Follow, database,
    database::{block_on, connect, run},
    follow::FOLLOW_LIMIT,
    query_value, servers, sql, wait_for,
};

const SESSIONS: u64 = 4;
/// Transactions of a session: 100 000 in all.
const EACH: u64 = 25_000;
/// Each waited for on the target before the next.
const SINGLE: u64 = 60;
/// Of the transactions that move ten thousand rows at once.
const LARGE: u64 = 6;
const SCHEMA: &str = "
    create table left_side (id int primary key, amount bigint not null);
    create table right_side (id int primary key, amount bigint not null);
    create table moves (number bigint generated always as identity primary key, owner int, step bigint, unique (owner, step));
    create table rows_left (id int primary key);
    create table rows_right (id int primary key);
    insert into left_side select i, 1000000 from generate_series(1, 64) i;
    insert into right_side select i, 0 from generate_series(1, 64) i;
    insert into rows_left select generate_series(1, 10000);";

/// Moves an amount from one table to the other and counts that, a transaction each time.
fn moves(session: u64, steps: std::ops::RangeInclusive<u64>) -> String {
    let (first, last) = (steps.start(), steps.end());
    format!(
        "do $$ begin for step in {first}..{last} loop
             update left_side set amount = amount - step where id = {session} * 16 + 1 + step % 16;
             update right_side set amount = amount + step where id = {session} * 16 + 1 + step % 16;
             insert into moves (owner, step) values ({session}, step);
             commit;
         end loop; end $$"
    )
}

/// Rows change sides, ten thousand in a transaction, in the order that a half of it would show.
const SWITCH: &str = "begin;
    insert into rows_right select id from rows_left; delete from rows_left;
    insert into rows_left select id from rows_right; delete from rows_right;
    insert into rows_right select id from rows_left; delete from rows_left; commit;
    begin; with gone as (delete from rows_right returning id) insert into rows_left select id from gone; commit";

/// One look: the sum of both sides, the rows of both, and per session whether its steps are
/// without a gap; then the moves and the amount moved.
const LOOK: &str = "select (select sum(amount) from left_side) + (select sum(amount) from right_side),
    (select count(*) from rows_left) + (select count(*) from rows_right),
    coalesce((select sum(count - most) from (select count(*), max(step) as most from moves group by owner) m), 0),
    (select coalesce(sum(step), 0) from moves) - (select sum(amount) from right_side),
    (select count(*) from moves)";

/// Looks until it is told to stop; how many different states it saw.
fn watch(target: &Database, stop: &AtomicBool) -> usize {
    let expected = run(&target.url, LOOK).unwrap().remove(0);
    let (mut seen, mut last) = (BTreeSet::new(), 0);
    block_on(async {
        let client = connect(&target.url).await.unwrap();
        while !stop.load(Ordering::Relaxed) {
            let rows = client.simple_query(LOOK).await.unwrap();
            let row = rows.iter().find_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => Some(row),
                // Row descriptions and command tags.
                tokio_postgres::SimpleQueryMessage::CommandComplete(_)
                | tokio_postgres::SimpleQueryMessage::RowDescription(_)
                | _ => None,
            });
            let row = row.unwrap();
            let row = (0..5).map(|at| row.get(at).unwrap().to_owned()).collect::<Vec<_>>();
            assert_eq!(row[..4], expected[..4], "half a transaction is seen");
            let count = row[4].parse::<u64>().unwrap();
            assert!(count >= last, "{count} moves after {last}");
            last = count;
            seen.insert(count);
        }
    });
    seen.len()
}

#[test]
fn a_reader_never_sees_half_a_transaction() {
    let cluster = servers().last().unwrap();
    let (source, target) = (database(cluster, "atomic"), database(cluster, "atomic_to"));
    sql(&source, SCHEMA);
    let follow = Follow::new(&source.url, &target.url)
        .config("version: 1\ndefaults: {detected: keep, free_text: keep, unclassified: keep}\n");
    follow.start().expect_code(0);
    let stream = follow.stream(&[]);
    let stop = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let watch = scope.spawn(|| watch(&target, &stop));
        let mut sessions = (0..SESSIONS)
            .map(|session| {
                let source = &source;
                scope.spawn(move || sql(source, &moves(session, 1..=EACH)))
            })
            .collect::<Vec<_>>();
        sessions.push(scope.spawn(|| {
            for _ in 0..LARGE {
                sql(&source, SWITCH);
            }
        }));
        for session in sessions {
            session.join().unwrap();
        }
        let arrives = |count: u64| {
            wait_for("all transactions", FOLLOW_LIMIT, || {
                let there = query_value(&target, "select count(*) from moves");
                watch.is_finished() || there == count.to_string()
            });
        };
        arrives(EACH * SESSIONS);
        // Far behind its source a stream takes large steps. Here it keeps up, one by one.
        for step in 1..=SINGLE {
            sql(&source, &moves(0, EACH + step..=EACH + step));
            arrives(EACH * SESSIONS + step);
        }
        stop.store(true, Ordering::Relaxed);
        watch.join().unwrap()
    });
    println!("{seen} states seen");
    assert!(seen > 50, "{seen} states seen");
    stream.signal(rustix::process::Signal::TERM);
    stream.wait_within(FOLLOW_LIMIT).expect_code(0);
    follow.catch_up().expect_code(0);
    oracle::assert_equal(&source, &target, &[]);
}
