//! What lies in the WAL for the followers to read.

use crate::{Settings, follower, site::Site};

pub(crate) struct Backlog {
    pub(crate) name: &'static str,
    /// Times the native subscription's speed.
    pub(crate) wanted: &'static str,
    pub(crate) is_masked: bool,
    schema: &'static str,
    rules: &'static str,
    /// Statements for so many transactions.
    work: fn(u64) -> String,
    transactions: u64,
    rows_each: u64,
}

/// A backlog whose slots and targets are ready to be copied.
pub(crate) struct Stage {
    /// The source's database, and the stem of the names of all others.
    pub(crate) database: String,
    /// The slot of the stream; `base_…` is one at the same place that nobody reads.
    pub(crate) slot: String,
    pub(crate) native_base: String,
    /// Of the stream.
    pub(crate) publications: String,
    /// Behind the backlog.
    pub(crate) end_lsn: String,
    rows: u64,
}

const PEOPLE: &str = "create table people (id bigint primary key, email text not null, name text not null,
        phone text, city text, n int, balance numeric(14,2), plan text, seen timestamptz);
    insert into people select i, 'user' || i || '@mail' || i % 97 || '.example.net', 'Ada Lovelace ' || i % 777,
        '+1 ' || 200 + i % 700 || ' 555 ' || lpad((i % 10000)::text, 4, '0'), 'Springfield ' || i % 500, i, i * 1.01, 'pro',
        '2024-01-01' from generate_series(1, 100000) i;";
const PEOPLE_RULES: &str = "  public.people:
    columns: {email: email, name: full_name, phone: phone, city: city, plan: keep}
";
const PGBENCH: &str = "create table branches (bid int primary key, bbalance int, filler char(88));
    create table tellers (tid int primary key, bid int, tbalance int, filler char(84));
    create table accounts (aid int primary key, bid int, abalance int, filler char(84));
    create table history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));
    insert into branches select i, 0, '' from generate_series(1, 10) i;
    insert into tellers select i, i / 10, 0, '' from generate_series(1, 100) i;
    insert into accounts select i, i / 10000, 0, '' from generate_series(1, 200000) i;";
const PGBENCH_RULES: &str = "  public.branches: {columns: {filler: keep}}
  public.tellers: {columns: {filler: keep}}
  public.accounts: {columns: {filler: keep}}
  public.history: {columns: {filler: keep}}
";

/// Runs a body in so many transactions.
fn transactions(count: u64, body: &str) -> String {
    format!("do $$ begin for t in 1..{count} loop {body} commit; end loop; end $$")
}

pub(crate) const BACKLOGS: &[Backlog] = &[
    Backlog {
        name: "inserts",
        wanted: "1.2",
        is_masked: true,
        schema: PEOPLE,
        rules: PEOPLE_RULES,
        work: |count| {
            transactions(
                count,
                "insert into people select 100000 + t * 1000 + i, 'new' || t * 1000 + i || '@mail' || i % 97 || '.example.net',
                    'Grace Hopper ' || i % 777, '+1 ' || 200 + i % 700 || ' 555 ' || lpad((i % 10000)::text, 4, '0'),
                    'Springfield ' || i % 500, i, i * 1.01, 'free', '2025-01-01' from generate_series(1, 1000) i;",
            )
        },
        transactions: 1000,
        rows_each: 1000,
    },
    Backlog {
        name: "pgbench",
        wanted: "2",
        is_masked: false,
        schema: PGBENCH,
        rules: PGBENCH_RULES,
        work: |count| {
            transactions(
                count,
                "update accounts set abalance = abalance + t where aid = 1 + (t::bigint * 7919 % 200000);
                 update tellers set tbalance = tbalance + t where tid = 1 + t % 100;
                 update branches set bbalance = bbalance + t where bid = 1 + t % 10;
                 insert into history values (1 + t % 100, 1 + t % 10, 1 + (t::bigint * 7919 % 200000), t, '2025-01-01', null);",
            )
        },
        transactions: 100_000,
        rows_each: 4,
    },
    Backlog {
        name: "single",
        wanted: "2",
        is_masked: true,
        schema: PEOPLE,
        rules: PEOPLE_RULES,
        work: |count| {
            transactions(
                count,
                "update people set n = n + 1, name = 'Alan Turing ' || t % 997 where id = 1 + (t::bigint * 7919 % 100000);",
            )
        },
        transactions: 200_000,
        rows_each: 1,
    },
    Backlog {
        name: "hot",
        wanted: "3",
        is_masked: true,
        schema: PEOPLE,
        rules: PEOPLE_RULES,
        work: |count| {
            transactions(
                count,
                "for i in 1..100 loop
                     update people set n = n + 1, balance = balance + t where id = 1 + ((t::bigint * 100 + i) * 7919 % 10000);
                 end loop;",
            )
        },
        transactions: 3000,
        rows_each: 100,
    },
];

impl Backlog {
    /// The same work in databases of its own.
    pub(crate) fn named(&self, name: &'static str) -> Self {
        Self { name, ..*self }
    }

    pub(crate) fn schema(&self) -> &'static str {
        self.schema
    }

    pub(crate) fn config(&self) -> String {
        format!("version: 1\ntables:\n{}  public.marker: {{columns: {{id: keep}}}}\n", self.rules)
    }

    /// The source, cloned for the stream and for the subscription, and then written to.
    pub(crate) fn prepare(&self, site: &Site, settings: &Settings) -> Stage {
        let database = format!("{}_{}", self.name, std::process::id());
        site.create(&site.source, &database, "template0");
        site.sql(&site.source, &database, self.schema);
        site.sql(&site.source, &database, "create table marker (id int primary key)");
        site.sql(&site.source, &database, "vacuum analyze");
        let mut stage = follower::prepare(site, &database, &self.config());
        let transactions = settings.scaled(self.transactions);
        let client = site.connect(&site.source, &database);
        site.runtime.block_on(client.batch_execute(&(self.work)(transactions))).unwrap();
        stage.rows = transactions * self.rows_each;
        site.sql(&site.source, &database, "insert into marker values (1)");
        // Something behind the end, so that everybody is told of it.
        site.sql(&site.source, &database, "select pg_logical_emit_message(false, 'end', '')");
        stage.end_lsn = site.value(&site.source, &database, "select pg_current_wal_flush_lsn()");
        stage
    }
}

impl Stage {
    pub(crate) fn new(
        database: &str,
        slot: String,
        native_base: String,
        publications: String,
    ) -> Self {
        let (end_lsn, database) = (String::new(), database.to_owned());
        Self { database, slot, native_base, publications, end_lsn, rows: 0 }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
    pub(crate) fn rows(&self) -> f64 {
        self.rows as f64
    }
}
