//! Random transactions, in groups of any size.

use backlot::sink::apply::{OnError, Route};

use super::rig::Rig;
use crate::support::{some_servers, sql, try_sql};

const DDL: &str = "create table plain (id int primary key, a text, b int, c numeric); \
    create table wide (part text, id int, big text, other text, flag bool, primary key (id, part)); \
    alter table wide alter big set storage external; \
    create table swaps (id int primary key, code int not null unique); \
    create table bag (a int, b text, j json); alter table bag replica identity full; create index on bag (a)";

/// xorshift64*: the failure message names the seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % bound
    }

    fn statement(&mut self) -> String {
        let (x, y, n) = (self.below(60), self.below(60), 1 + self.below(150));
        match self.below(17) {
            0 => format!(
                "insert into plain select g, 'i' || g, {y}, null from generate_series({x}, {x} + {n}) g on conflict do nothing"
            ),
            1 => {
                format!("update plain set a = 'u{y}', b = b + 1 where id between {x} and {x} + {n}")
            }
            2 => format!("update plain set c = {n} / 7.0 where id % 7 = {}", x % 7),
            3 => format!("delete from plain where id between {x} and {x} + {y} / 4"),
            4 => format!("update plain set id = id + 1000 where id = {x}"),
            5 => format!(
                "delete from plain where id = {x}; insert into plain values ({x}, null, 1, 'NaN')"
            ),
            6 => format!(
                "insert into wide select 'p', g, (select string_agg(md5(h::text || g), '') from generate_series(1, 100) h), null, true \
                 from generate_series({x}, {x} + {y} / 8) g on conflict do nothing"
            ),
            7 => format!("update wide set other = 'o{y}' where id > {x}"),
            8 => format!(
                "update wide set flag = not flag where id = {x}; update wide set big = big || 'x' where id = {x}; update wide set other = big where id = {x}"
            ),
            9 => format!("update wide set part = 'q{y}' where id = {x}"),
            10 => format!("delete from wide where id between {x} and {y}"),
            11 => format!(
                "insert into swaps values ({x}, {x}), ({y} + 100, {y} + 100) on conflict do nothing"
            ),
            12 => format!(
                "update swaps set code = -code - 1 where id in ({x}, {y}); update swaps set code = {x} + 1000 where id = {y}"
            ),
            13 => format!(
                "delete from swaps where id = {x}; insert into swaps values ({y}, {x}) on conflict do nothing"
            ),
            14 => format!(
                "insert into bag select nullif({x} % 5, 0), nullif('b', 'b' || g % 2), '{{\"a\": 1}}' from generate_series(1, {y} % 9) g"
            ),
            15 => format!(
                "update bag set b = 'v{y}' where ctid = (select min(ctid) from bag where a = {x} % 5)"
            ),
            _ => format!(
                "delete from bag where ctid in (select ctid from bag where a is not distinct from nullif({x} % 5, 0) limit 2)"
            ),
        }
    }
}

fn run(is_binary: bool, route: &Route, seed: u64, rounds: u64) {
    for cluster in some_servers() {
        let mut random = Random(seed);
        let mut rig = Rig::new(cluster, DDL, is_binary);
        let mut applier = rig.applier(OnError::Stop);
        let mut replayed = 0;
        for _ in 0..rounds {
            for _ in 0..=random.below(6) {
                let statements = (0..=random.below(6)).map(|_| random.statement());
                let transaction = statements.collect::<Vec<_>>().join("; ");
                if random.below(40) == 0 {
                    sql(&rig.source, &format!("truncate bag, swaps; {transaction}"));
                } else {
                    // Some break a constraint: then nothing of them is sent.
                    drop(try_sql(&rig.source, &transaction));
                }
            }
            replayed += u64::from(rig.follow(&mut applier, route).is_replayed);
            rig.assert_same();
        }
        assert!(replayed < rounds / 2, "{replayed} of {rounds} groups were replayed");
    }
}

#[test]
fn net_changes_leave_what_the_source_has_binary() {
    run(true, &Route::Fast, 0x5eed_0001, 25);
}

#[test]
fn net_changes_leave_what_the_source_has_text() {
    run(false, &Route::Fast, 0x5eed_0002, 25);
}

#[test]
fn changes_one_by_one_leave_what_the_source_has() {
    run(true, &Route::Careful, 0x5eed_0001, 12);
}
