//! A mixed write load on a source, in several sessions at once, that a seed repeats.
//!
//! Each session changes rows of its own only and no statement of it may fail: one that does, or
//! that waits for a minute, is the stream's doing and fails the test. What is meant to fail (inside
//! a savepoint) is checked to fail.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use tokio_postgres::Client;

use super::oracle;
use crate::{
    fidelity::keep_all_but,
    support::{Cluster, Database, Random, database, database::connect, sql},
};

pub(super) const SCHEMA: &str = include_str!("workload.sql");
/// What is masked; everything else is kept.
const RULES: &[(&str, &str)] = &[
    ("app.accounts.email", "email"),
    ("app.accounts.name", "full_name"),
    (
        "app.accounts.meta",
        "{transform: json, paths: {\"$.ip\": ip, \"$.mail\": email}, unknown: keep}",
    ),
    ("app.people.email", "email"),
    ("app.people.name", "full_name"),
    // Follows what it refers to.
    ("app.letters.person_email", ""),
    ("app.badges.email", "email"),
    ("app.badges.code", "digits"),
    ("app.badges.holder", "full_name"),
    ("app.loose.name", "full_name"),
    ("app.keyless.note", "text_fill"),
    ("app.documents.note", "text_fill"),
    ("app.events.who", "email"),
    ("app.bulk.t", "text_fill"),
];
/// Not followed row by row: left out where targets are compared.
pub(super) const NOT_FOLLOWED: &[&str] = &["app.keyless_changed"];
/// Rows that a session keeps of a table: so many more are deleted again.
const KEPT: u32 = 300;
/// A statement of the load takes milliseconds.
const STATEMENT_LIMIT: Duration = Duration::from_mins(1);

/// A source with the load's tables and some rows.
pub(super) fn source(cluster: &'static Cluster, name: &str) -> Database {
    let source = database(cluster, name);
    sql(&source, SCHEMA);
    source
}

/// The configuration of every follower of that source.
pub(super) fn config(source: &Database) -> String {
    keep_all_but(source, RULES)
}

#[derive(Clone, Copy)]
pub(super) struct Options {
    pub(super) sessions: u32,
    /// Between two transactions of a session: how much the machine can follow.
    pub(super) pace: Duration,
    /// Rows of the largest transactions, and of how many transactions one is so large.
    pub(super) huge_rows: u32,
    pub(super) huge_once_in: u64,
}

impl Default for Options {
    fn default() -> Self {
        let pace = Duration::from_millis(2);
        Self { sessions: 3, pace, huge_rows: 100_000, huge_once_in: 1500 }
    }
}

/// A load that runs.
pub(super) struct Workload {
    stop: Arc<AtomicBool>,
    sessions: Vec<JoinHandle<Result<Work, String>>>,
}

/// What a load has done.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) committed: u64,
    pub(super) rolled_back: u64,
    pub(super) statements: u64,
    /// How often of each kind.
    pub(super) operations: BTreeMap<&'static str, u64>,
}

impl Workload {
    pub(super) fn start(source: &Database, random: &mut Random, options: Options) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let session = |number| {
            let (url, stop, random) = (source.url.clone(), Arc::clone(&stop), random.fork());
            std::thread::spawn(move || {
                let runtime =
                    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let run = Session::new(&url, number, random, options).run(&stop);
                // At once: whoever waits for what this session would have done fails first.
                runtime.block_on(run).inspect_err(|failure| eprintln!("{failure}"))
            })
        };
        Self { sessions: (0..options.sessions).map(session).collect(), stop }
    }

    /// True while no session has ended: none ends by itself unless a statement failed.
    pub(super) fn is_well(&self) -> bool {
        self.sessions.iter().all(|session| !session.is_finished())
    }

    /// Lets every session finish its transaction; panics with the statement that failed.
    pub(super) fn finish(mut self) -> Work {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Work::default();
        for session in self.sessions.drain(..) {
            let work = session.join().unwrap().unwrap_or_else(|failure| panic!("{failure}"));
            all.committed += work.committed;
            all.rolled_back += work.rolled_back;
            all.statements += work.statements;
            for (name, count) in work.operations {
                *all.operations.entry(name).or_default() += count;
            }
        }
        all
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct Session {
    url: String,
    number: u32,
    random: Random,
    options: Options,
    /// Makes values unique within the session.
    serial: u32,
    work: Work,
}

type Operation = (&'static str, fn(&mut Session) -> Vec<String>);

/// What a transaction is made of. None stands in one twice: that keeps the order of locks.
const OPERATIONS: &[Operation] = &[
    ("insert accounts", Session::insert_accounts),
    ("update accounts", Session::update_accounts),
    ("change a unique e-mail", Session::change_email),
    ("swap unique values", Session::swap_emails),
    ("delete accounts", Session::delete_accounts),
    ("insert a deleted key again", Session::reinsert),
    ("insert people", Session::insert_people),
    ("change a referenced key", Session::rename_people),
    ("delete with cascade", Session::delete_people),
    ("composite key", Session::badges),
    ("change a composite key", Session::change_badges),
    ("insert without key", Session::insert_loose),
    ("update one of equal rows", Session::update_loose),
    ("delete one of equal rows", Session::delete_loose),
    ("insert keyless", Session::insert_keyless),
    ("change keyless", Session::change_keyless),
    ("insert documents", Session::insert_documents),
    ("update beside untouched TOAST", Session::update_documents),
    ("change the key beside untouched TOAST", Session::change_document_key),
    ("delete documents", Session::delete_documents),
    ("wide rows", Session::wide),
    ("insert into partitions", Session::insert_events),
    ("move between partitions", Session::move_events),
    ("insert what is truncated", Session::insert_truncated),
    ("deferred constraints", Session::nodes),
    ("replica identity by index", Session::settings),
    ("odd names", Session::odd),
    ("sequences", Session::sequences),
    ("rows in bulk", Session::bulk),
    ("messages", Session::messages),
];

/// Alone in their transactions: their locks exclude everybody.
const TRUNCATES: &[&str] = &[
    "truncate app.trunc_a, app.trunc_b",
    "truncate app.trunc_a, app.trunc_b restart identity",
    "truncate app.trunc_a cascade",
    "truncate app.trunc_b",
    "truncate app.keyless",
    "truncate app.events_old",
    "truncate app.events_2020_1",
];

const TEXTS: &[&str] = &[
    "null",
    "''",
    "' '",
    "'Ada Lovelace'",
    "E'tab\\t line\\n back\\\\slash \\\\N \\\\.'",
    "'NULL'",
    "'Größe 用户 👩‍👩‍👧'",
    "'a,b;\"c\" ''d'' {e} (f)'",
    "repeat('x', 3000)",
    "(select string_agg(md5(i::text), '') from generate_series(1, 100) i)",
];

impl Session {
    fn new(url: &str, number: u32, random: Random, options: Options) -> Self {
        let work = Work::default();
        Self { url: url.to_owned(), number, random, options, serial: 0, work }
    }

    async fn run(mut self, stop: &AtomicBool) -> Result<Work, String> {
        let client = connect(&self.url).await.map_err(|error| error.to_string())?;
        while !stop.load(Ordering::Relaxed) {
            if self.number == 0 && self.random.once_in(25) {
                let truncate = (*self.random.pick(TRUNCATES)).to_owned();
                *self.work.operations.entry("truncate").or_default() += 1;
                self.execute(&client, &truncate).await?;
                self.work.committed += 1;
            } else if self.random.once_in(self.options.huge_once_in) {
                self.huge(&client).await?;
            } else {
                self.transaction(&client).await?;
            }
            tokio::time::sleep(self.options.pace).await;
        }
        Ok(self.work)
    }

    async fn transaction(&mut self, client: &Client) -> Result<(), String> {
        let mut chosen: Vec<Operation> = Vec::new();
        for _ in 0..=self.random.below(4) {
            let operation = *self.random.pick(OPERATIONS);
            if chosen.iter().all(|(name, _)| *name != operation.0) {
                chosen.push(operation);
            }
        }
        self.execute(client, "begin").await?;
        for (name, make) in chosen {
            *self.work.operations.entry(name).or_default() += 1;
            let statements = make(self);
            match self.random.below(8) {
                0 => self.savepoint(client, &statements, "rollback to s").await?,
                1 => self.savepoint(client, &statements, "release s").await?,
                2 => self.failing(client, &statements).await?,
                _ => self.all(client, &statements).await?,
            }
        }
        self.end(client).await
    }

    async fn end(&mut self, client: &Client) -> Result<(), String> {
        if self.random.once_in(12) {
            self.work.rolled_back += 1;
            return self.execute(client, "rollback").await;
        }
        self.work.committed += 1;
        self.execute(client, "commit").await
    }

    async fn savepoint(
        &mut self,
        client: &Client,
        statements: &[String],
        end: &str,
    ) -> Result<(), String> {
        self.execute(client, "savepoint s").await?;
        // One within: aborted and kept subtransactions nest.
        let within = self.random.once_in(3);
        if within {
            self.execute(client, "savepoint t").await?;
        }
        self.all(client, statements).await?;
        if within {
            self.execute(client, "release t").await?;
        }
        self.execute(client, end).await
    }

    /// The statements, and then one that fails and takes them back.
    async fn failing(&mut self, client: &Client, statements: &[String]) -> Result<(), String> {
        self.execute(client, "savepoint s").await?;
        self.all(client, statements).await?;
        let insert = "insert into app.wide (id, owner) values (-1, 0), (-1, 0)";
        self.work.statements += 1;
        if client.simple_query(insert).await.is_ok() {
            return Err(format!("this did not fail: {insert}"));
        }
        self.execute(client, "rollback to s").await
    }

    async fn all(&mut self, client: &Client, statements: &[String]) -> Result<(), String> {
        for statement in statements {
            self.execute(client, statement).await?;
        }
        Ok(())
    }

    async fn execute(&mut self, client: &Client, statement: &str) -> Result<(), String> {
        self.work.statements += 1;
        let what = || format!("a statement of the source failed: {statement:.500}");
        match tokio::time::timeout(STATEMENT_LIMIT, client.simple_query(statement)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(format!("{}: {error:?}", what())),
            Err(_) => Err(format!("{}: it waited for {STATEMENT_LIMIT:?}", what())),
        }
    }

    /// One transaction of the largest size, parts of which are taken back.
    async fn huge(&mut self, client: &Client) -> Result<(), String> {
        let (owner, rows) = (self.number, self.options.huge_rows);
        let insert = format!(
            "insert into app.bulk (owner, n, t) select {owner}, i, 'row ' || i from generate_series(1, {rows}) i"
        );
        *self.work.operations.entry("huge transaction").or_default() += 1;
        self.execute(client, "begin").await?;
        match self.random.below(3) {
            0 => self.execute(client, &insert).await?,
            1 => {
                self.execute(client, "savepoint s").await?;
                self.execute(client, &insert).await?;
                self.execute(client, "rollback to s").await?;
                self.execute(client, &insert).await?;
            }
            _ => {
                self.execute(client, &insert).await?;
                let update = format!("update app.bulk set n = n + 1 where owner = {owner}");
                self.execute(client, &update).await?;
            }
        }
        self.execute(client, "commit").await?;
        // The next one finds a small table again, and this is one of 100 000 deletes.
        self.execute(client, &format!("delete from app.bulk where owner = {owner} and n > 50"))
            .await?;
        self.work.committed += 2;
        Ok(())
    }

    fn unique(&mut self) -> String {
        self.serial += 1;
        format!("{}x{}", self.number, self.serial)
    }

    fn text(&mut self) -> &'static str {
        let texts: &[&'static str] = TEXTS;
        self.random.pick::<&'static str>(texts)
    }

    /// A few of the session's rows of a table, as a condition on its key.
    fn some(&mut self, table: &str, key: &str, limit: u64) -> String {
        let (owner, salt) = (self.number, self.random.below(1_000_000));
        let count = 1 + self.random.below(limit);
        format!(
            "{key} in (select {key} from {table} where owner = {owner}
             order by md5({key}::text || '{salt}') limit {count})"
        )
    }

    /// Deletes a few rows, and all beyond [`KEPT`].
    fn delete(&mut self, table: &str, key: &str) -> Vec<String> {
        let (owner, salt) = (self.number, self.random.below(1_000_000));
        vec![format!(
            "delete from {table} where {key} in (select {key} from {table} where owner = {owner}
             order by md5({key}::text || '{salt}')
             limit (select greatest(2, count(*) - {KEPT}) from {table} where owner = {owner}))"
        )]
    }

    fn insert_accounts(&mut self) -> Vec<String> {
        let (owner, unique, text) = (self.number, self.unique(), self.text());
        let rows = 1 + self.random.below(20);
        vec![format!(
            "insert into app.accounts (owner, email, name, balance, kind, tags, spot, level, born, meta)
             select {owner}, 'a{unique}.' || i || '@corp.example', {text}, i * 1.0001,
                 (enum_range(null::app.kind))[1 + i % 3], array[{text}, null, i::text], row(i, {text})::app.spot,
                 i - 10, date '1950-01-01' + i, jsonb_build_object('ip', '10.1.2.' || i, 'mail', 'm{unique}@corp.example', 'n', i)
             from generate_series(1, {rows}) i"
        )]
    }

    fn update_accounts(&mut self) -> Vec<String> {
        let text = self.text();
        let sets = [
            format!("name = {text}"),
            "balance = coalesce(balance, 0) * 1.01 + 1, level = null".to_owned(),
            format!("tags = tags || array[{text}], kind = 'it''s'"),
            format!("spot = row(null, {text})::app.spot, seen = clock_timestamp()"),
            "meta = jsonb_build_object('ip', '2001:db8::1', 'list', jsonb_build_array(1, null, 1.50))".to_owned(),
            "born = 'infinity', email = email".to_owned(),
        ];
        let set = self.random.pick(&sets).clone();
        let some = self.some("app.accounts", "id", 30);
        vec![format!("update app.accounts set {set} where {some}")]
    }

    fn change_email(&mut self) -> Vec<String> {
        let (unique, some) = (self.unique(), self.some("app.accounts", "id", 3));
        vec![format!(
            "update app.accounts set email = 'c{unique}.' || id || '@corp.example' where {some}"
        )]
    }

    /// Two rows end with each other's value: no order of the net changes satisfies the index.
    fn swap_emails(&mut self) -> Vec<String> {
        let (owner, unique) = (self.number, self.unique());
        let least = format!("(select min(id) from app.accounts where owner = {owner})");
        let most = format!("(select max(id) from app.accounts where owner = {owner})");
        let kept = format!("swap{unique}@corp.example");
        vec![
            format!("create temporary table swapped on commit drop as
                     select {least} a, {most} b, (select email from app.accounts where id = {least}) of_a,
                            (select email from app.accounts where id = {most}) of_b"),
            format!("update app.accounts set email = '{kept}' where id = (select a from swapped where a < b)"),
            "update app.accounts set email = of_a from swapped where id = b and a < b".to_owned(),
            "update app.accounts set email = of_b from swapped where id = a and a < b".to_owned(),
            "drop table swapped".to_owned(),
        ]
    }

    fn delete_accounts(&mut self) -> Vec<String> {
        self.delete("app.accounts", "id")
    }

    fn reinsert(&mut self) -> Vec<String> {
        let (owner, unique) = (self.number, self.unique());
        vec![format!(
            "with gone as (delete from app.accounts where id = (select max(id) from app.accounts where owner = {owner}) returning *)
             select setval('app.counter', nextval('app.counter')) from gone"
        ), format!(
            "insert into app.accounts (id, owner, email, name) overriding system value
             select -nextval('app.counter'), {owner}, 'r{unique}@corp.example', 'again'"
        ), format!(
            "delete from app.accounts where email = 'r{unique}@corp.example'"
        ), format!(
            "insert into app.accounts (id, owner, email, name) overriding system value
             select -currval('app.counter'), {owner}, 'r{unique}@corp.example', 'and again'"
        )]
    }

    fn insert_people(&mut self) -> Vec<String> {
        let (owner, unique, text) = (self.number, self.unique(), self.text());
        vec![
            format!(
                "insert into app.people select 'p{unique}.' || i || '@corp.example', {owner}, 'Grace ' || i from generate_series(1, 5) i"
            ),
            format!(
                "insert into app.letters (owner, person_email, body)
                 select {owner}, 'p{unique}.' || i % 5 + 1 || '@corp.example', {text} from generate_series(1, 8) i"
            ),
        ]
    }

    fn rename_people(&mut self) -> Vec<String> {
        let (unique, some) = (self.unique(), self.some("app.people", "email", 3));
        vec![format!(
            "update app.people set email = '{unique}.' || email, name = null where {some}"
        )]
    }

    fn delete_people(&mut self) -> Vec<String> {
        self.delete("app.people", "email")
    }

    fn badges(&mut self) -> Vec<String> {
        let (owner, unique, text) = (self.number, self.unique(), self.text());
        let digits = self.random.below(100_000_000);
        let some = self.some("app.badges", "email", 5);
        let mut statements = vec![
            format!(
                "insert into app.badges select 'b{unique}@corp.example', lpad(({digits} + i)::text, 9, '0'), {owner}, {text}
                 from generate_series(1, 6) i"
            ),
            format!("update app.badges set holder = 'Alan ' || code where {some}"),
        ];
        statements.extend(self.delete("app.badges", "email"));
        statements
    }

    fn change_badges(&mut self) -> Vec<String> {
        let (unique, some) = (self.unique(), self.some("app.badges", "email", 3));
        vec![format!(
            "update app.badges set email = '{unique}' || email, code = lpad((code::bigint * 7 % 1000000000)::text, 10, '1') where {some}"
        )]
    }

    fn insert_loose(&mut self) -> Vec<String> {
        let (owner, text) = (self.number, self.text());
        vec![format!(
            "insert into app.loose select {owner}, nullif(i % 3, 0), {text}, case when i % 4 > 0 then '{{\"b\" : [1, 2.50],  \"b\":null}}'::json end,
                 nullif(i % 2, 0) from generate_series(1, 12) i"
        )]
    }

    /// By ctid: one of the rows that are equal, on the source; any of them, on the target.
    fn one_loose(&mut self) -> String {
        let (owner, skip) = (self.number, self.random.below(20));
        format!(
            "ctid = (select ctid from app.loose where owner = {owner} order by n nulls first, ctid offset {skip} limit 1)"
        )
    }

    fn update_loose(&mut self) -> Vec<String> {
        let (one, text, owner) = (self.one_loose(), self.text(), self.number);
        vec![
            format!(
                "update app.loose set name = {text}, amount = coalesce(amount, 0) + 0.10 where {one}"
            ),
            format!("update app.loose set n = 1, doc = null where n is null and owner = {owner}"),
        ]
    }

    fn delete_loose(&mut self) -> Vec<String> {
        let one = self.one_loose();
        let mut statements = vec![format!("delete from app.loose where {one}")];
        statements.extend(self.delete("app.loose", "ctid"));
        statements
    }

    fn insert_keyless(&mut self) -> Vec<String> {
        let (owner, text) = (self.number, self.text());
        vec![format!(
            "insert into app.keyless select {owner}, nullif(i, 3), {text} from generate_series(1, 10) i"
        )]
    }

    fn change_keyless(&mut self) -> Vec<String> {
        let owner = self.number;
        vec![
            format!(
                "insert into app.keyless_changed select {owner}, i, 'x' from generate_series(1, 5) i"
            ),
            format!("update app.keyless_changed set n = n + 1 where owner = {owner} and n < 5"),
            format!("delete from app.keyless_changed where owner = {owner} and n > 3"),
        ]
    }

    /// 1 MB each, of which 12 kB are left when it is compressed, and some kB that are not.
    fn insert_documents(&mut self) -> Vec<String> {
        let (owner, text, salt) = (self.number, self.text(), self.random.below(1_000_000));
        vec![format!(
            "insert into app.documents select nextval('app.document_ids'), {owner}, 1, {text}, repeat(md5('{salt}' || i), 32768),
                 repeat(md5(i || '{salt}'), 200) from generate_series(1, 2) i"
        )]
    }

    fn update_documents(&mut self) -> Vec<String> {
        let (some, text) = (self.some("app.documents", "id", 8), self.text());
        let set =
            ["n = n + 1".to_owned(), format!("note = {text}"), "raw = reverse(raw)".to_owned()];
        vec![format!("update app.documents set {} where {some}", self.random.pick(&set))]
    }

    fn change_document_key(&mut self) -> Vec<String> {
        let some = self.some("app.documents", "id", 3);
        vec![format!("update app.documents set id = nextval('app.document_ids') where {some}")]
    }

    fn delete_documents(&mut self) -> Vec<String> {
        let owner = self.number;
        vec![format!(
            "delete from app.documents where id in (select id from app.documents where owner = {owner} order by id
             limit (select greatest(1, count(*) - 10) from app.documents where owner = {owner}))"
        )]
    }

    fn wide(&mut self) -> Vec<String> {
        let owner = self.number;
        let names = (1..=29).map(|n| format!("c{n}")).collect::<Vec<_>>().join(", ");
        let values =
            (1..=29).map(|n| format!("nullif(i * {n}, 12)")).collect::<Vec<_>>().join(", ");
        let some = self.some("app.wide", "id", 20);
        let mut statements = vec![
            format!(
                "insert into app.wide (owner, {names}) select {owner}, {values} from generate_series(1, 15) i"
            ),
            format!("update app.wide set c7 = -c7, c29 = coalesce(c29, 0) + 1 where {some}"),
        ];
        statements.extend(self.delete("app.wide", "id"));
        statements
    }

    fn insert_events(&mut self) -> Vec<String> {
        let (owner, unique, text) = (self.number, self.unique(), self.text());
        let mut statements = vec![format!(
            "insert into app.events (owner, day, who, note) select {owner}, date '2019-06-01' + i * 40, 'e{unique}@corp.example', {text}
             from generate_series(1, 20) i"
        )];
        statements.extend(self.delete("app.events", "id"));
        statements
    }

    fn move_events(&mut self) -> Vec<String> {
        let some = self.some("app.events", "id", 10);
        vec![format!(
            "update app.events set day = day + (200 * (random() * 4 - 2))::int, note = 'moved' where {some}"
        )]
    }

    fn insert_truncated(&mut self) -> Vec<String> {
        let (owner, text) = (self.number, self.text());
        vec![
            format!(
                "insert into app.trunc_a (owner, note) select {owner}, {text} from generate_series(1, 5)"
            ),
            format!(
                "insert into app.trunc_b (a, note) select id, {text} from app.trunc_a where owner = {owner} limit 10"
            ),
        ]
    }

    /// Swaps what is unique in one statement, and refers to rows that come later.
    fn nodes(&mut self) -> Vec<String> {
        self.serial += 1;
        let (owner, first) = (self.number, 1_000_000 + self.serial * 40 + self.number * 10);
        let mut statements = vec![
            format!(
                "insert into app.nodes (id, owner, slot, parent) select {first} + i, {owner}, null, {first} + i % 3 + 1
                 from generate_series(1, 3) i"
            ),
            format!(
                "update app.nodes n set slot = o.slot from app.nodes o where n.owner = {owner} and o.owner = {owner}
                 and o.id = (case when n.id = (select min(id) from app.nodes where owner = {owner} and slot is not null)
                     then (select max(id) from app.nodes where owner = {owner} and slot is not null)
                     when n.id = (select max(id) from app.nodes where owner = {owner} and slot is not null)
                     then (select min(id) from app.nodes where owner = {owner} and slot is not null) end)"
            ),
        ];
        let salt = self.random.below(1_000_000);
        statements.push(format!(
            "delete from app.nodes where id in (select id from app.nodes where owner = {owner} and slot is null
             order by md5(id::text || '{salt}') limit 2)"
        ));
        statements
    }

    fn settings(&mut self) -> Vec<String> {
        let (owner, unique, some) =
            (self.number, self.unique(), self.some("app.settings", "id", 4));
        let mut statements = vec![
            format!(
                "insert into app.settings (owner, name, value) values ({owner}, 's{unique}', 'new')"
            ),
            format!("update app.settings set value = value || '+' where {some}"),
            format!("update app.settings set name = 't{unique}.' || id, id = -id where {some}"),
        ];
        statements.extend(self.delete("app.settings", "id"));
        statements
    }

    fn odd(&mut self) -> Vec<String> {
        let (owner, key, text) = (self.number, self.random.below(200), self.text());
        let table = r#"app."Odd ""table""""#;
        let key = key * 10 + u64::from(owner);
        vec![
            format!(
                r#"insert into {table} values ({key}, {owner}, {text}) on conflict ("select") do update set "weiß,  b" = {text}"#
            ),
            format!(
                r#"delete from {table} where "Own er" = {owner} and "select" % 7 = {key} % 7 and "select" <> {key}"#
            ),
        ]
    }

    fn sequences(&mut self) -> Vec<String> {
        let by = 1 + self.random.below(50);
        vec![format!("select nextval('app.counter') from generate_series(1, {by})")]
    }

    fn bulk(&mut self) -> Vec<String> {
        let (owner, text, rows) = (self.number, self.text(), 1 + self.random.below(2000));
        vec![
            format!(
                "insert into app.bulk (owner, n, t) select {owner}, i, left({text}, 50) from generate_series(1, {rows}) i"
            ),
            format!(
                "update app.bulk set t = 'changed ' || id where owner = {owner} and n % 10 = 0"
            ),
            format!("delete from app.bulk where owner = {owner} and n > 30"),
        ]
    }

    /// Messages of others are none of the stream's business.
    #[expect(clippy::unused_self, reason = "one of the operations")]
    fn messages(&mut self) -> Vec<String> {
        vec![
            "select pg_logical_emit_message(true, 'backlot test', 'in a transaction')".to_owned(),
            "select pg_logical_emit_message(false, 'backlot test', 'outside of any')".to_owned(),
        ]
    }
}

/// The load itself: it runs, does everything and fails nowhere.
#[test]
fn the_load_does_everything_it_is_made_for() {
    let source = source(crate::support::servers().next().unwrap(), "load");
    let mut random = Random::seeded();
    let options =
        Options { pace: Duration::ZERO, huge_rows: 5000, huge_once_in: 200, ..Options::default() };
    let load = Workload::start(&source, &mut random, options);
    let committed = "select xact_commit from pg_stat_database where datname = current_database()";
    crate::support::wait_for("a thousand transactions", STATEMENT_LIMIT, || {
        assert!(load.is_well() || load.sessions.is_empty(), "a session ended");
        crate::support::query_value(&source, committed).parse::<u64>().unwrap() > 1500
    });
    let work = load.finish();
    println!("{work:?}");
    assert_eq!(work.operations.len(), OPERATIONS.len() + 2, "{work:?}");
    assert!(work.rolled_back > 0);

    // The oracle finds nothing in a clone as it is, one row that was changed, one that is missing.
    let target = oracle::transformed(&source, &keep_all_but(&source, &[]));
    oracle::assert_equal(&source, &target, &[]);
    let masked = oracle::transformed(&source, &config(&source));
    let changed = oracle::differences(&source, &masked, &[]);
    for table in
        ["app.accounts", "app.people", "app.letters", "app.badges", "app.loose", "app.events_rest"]
    {
        assert!(changed.contains(table), "{table}: {changed}");
    }
    sql(&target, "update app.wide set c29 = -1 where id = (select max(id) from app.wide)");
    assert!(oracle::differences(&source, &target, &[]).starts_with("app.wide: "));
    sql(&target, "delete from app.loose where ctid = (select min(ctid) from app.loose)");
    assert!(oracle::differences(&source, &target, &[]).contains("missing"));
}
