//! A bad network costs time and nothing else.

use std::time::Duration;

use rustix::process::Signal;

use super::{
    kill::Positions,
    oracle,
    workload::{self, NOT_FOLLOWED, Options, Work, Workload},
};
use crate::support::{
    Cluster, Database, Follow, Proxy, Random, Running, database,
    database::{block_on, connect},
    follow::FOLLOW_LIMIT,
    query_value, servers, some_servers, sql, wait_for,
};

/// The source gives a silent client up after this long.
const SENDER_TIMEOUT: Duration = Duration::from_secs(20);
/// Longer than that; `BACKLOT_LONG_PAUSE` makes it a minute and the timeout the server's own.
const PAUSE: Duration = Duration::from_secs(25);

/// A follower whose ways to both servers go through a network that the test owns.
struct Site {
    source: Database,
    target: Database,
    to_source: Proxy,
    to_target: Proxy,
    follow: Follow,
    config: String,
}

impl Site {
    fn new(cluster: &'static Cluster, name: &str) -> Self {
        let source = workload::source(cluster, name);
        let target = database(cluster, &format!("{name}_to"));
        let config = workload::config(&source);
        let follow = Follow::new(&source.url, &target.url).config(&config);
        follow.start().expect_code(0);
        let to_source = Proxy::new(cluster.server(), &source.name);
        let to_target = Proxy::new(cluster.server(), &target.name);
        let follow = follow.through(&to_source.url(), &to_target.url());
        Self { source, target, to_source, to_target, follow, config }
    }

    fn positions(&self) -> Positions<'_> {
        Positions::new(&self.source, &self.target)
    }

    fn checkpoint(&self) -> backlot::pg::Lsn {
        self.positions().checkpoint().unwrap()
    }

    /// A stream that has applied something.
    fn stream(&self) -> Running {
        let before = self.checkpoint();
        let stream = self.follow.stream(&[]);
        sql(&self.source, "insert into app.keyless values (0, 0, 'begin')");
        wait_for("the first change", FOLLOW_LIMIT, || self.checkpoint() > before);
        stream
    }

    fn load(&self, random: &mut Random) -> Workload {
        let options = Options {
            sessions: 2,
            pace: Duration::from_millis(40),
            huge_rows: 20_000,
            huge_once_in: 400,
        };
        Workload::start(&self.source, random, options)
    }

    /// Processes of the source that send to a stream of this database.
    fn sender(&self) -> String {
        let query =
            "select coalesce(string_agg(s.active_pid::text, ' '), '') from pg_replication_slots s
            where s.database = current_database()";
        query_value(&self.source, query)
    }

    /// The stream goes on until it has everything, and the target is what it should be.
    fn finish(self, mut stream: Running, load: Workload) -> Work {
        let work = load.finish();
        let end = query_value(&self.source, "select pg_current_wal_insert_lsn()").parse().unwrap();
        // An end of its own, also where nothing else writes to the cluster.
        sql(&self.source, "insert into app.keyless values (0, 0, 'end')");
        wait_for("the end of the load on the target", FOLLOW_LIMIT, || {
            assert!(stream.is_running(), "the stream ended");
            self.checkpoint() >= end
        });
        stream.signal(Signal::TERM);
        stream.wait().expect_code(0);
        self.follow.catch_up().expect_code(0);
        let expected = oracle::transformed(&self.source, &self.config);
        oracle::assert_equal(&expected, &self.target, NOT_FOLLOWED);
        work
    }
}

fn is_long() -> bool {
    std::env::var("BACKLOT_LONG_PAUSE").is_ok()
}

/// The length of a pause, with the servers' timeouts below it.
fn pause(site: &Site) -> Duration {
    if is_long() {
        return Duration::from_mins(1) + Duration::from_secs(5);
    }
    // Of this database's sessions alone: the cluster is shared.
    for database in [&site.source, &site.target] {
        let timeout = SENDER_TIMEOUT.as_secs();
        sql(
            database,
            &format!("alter database \"{}\" set wal_sender_timeout = '{timeout}s'", database.name),
        );
    }
    PAUSE
}

#[test]
fn a_target_that_is_silent_for_longer_than_the_senders_timeout_costs_no_connection_to_the_source() {
    let mut random = Random::seeded();
    for cluster in some_servers() {
        let site = Site::new(cluster, "pause_target");
        let pause = pause(&site);
        let stream = site.stream();
        let load = site.load(&mut random);
        let sender = site.sender();
        assert_ne!(sender, "");
        let before = site.checkpoint();
        wait_for("changes under load", FOLLOW_LIMIT, || site.checkpoint() > before);
        let connections = site.to_source.counts().0;
        site.to_target.pause();
        std::thread::sleep(pause);
        // Keepalives were answered all the time, although nothing could be applied.
        assert_eq!(site.sender(), sender, "the source gave the stream up");
        assert_eq!(site.to_source.counts().0, connections);
        site.to_target.go_on();
        site.finish(stream, load);
    }
}

#[test]
fn a_source_that_is_silent_for_longer_than_its_timeout_is_followed_again() {
    let mut random = Random::seeded();
    for cluster in some_servers() {
        let site = Site::new(cluster, "pause_source");
        let pause = pause(&site);
        let stream = site.stream();
        let load = site.load(&mut random);
        let before = site.checkpoint();
        wait_for("changes under load", FOLLOW_LIMIT, || site.checkpoint() > before);
        site.to_source.pause();
        std::thread::sleep(pause);
        site.to_source.go_on();
        site.finish(stream, load);
    }
}

#[test]
fn a_connection_reset_in_the_middle_of_a_transaction_loses_nothing() {
    let mut random = Random::seeded();
    for cluster in some_servers() {
        let site = Site::new(cluster, "reset");
        let stream = site.stream();
        let load = site.load(&mut random);
        for round in 0..6 {
            // One transaction of some MB, of which so much comes through.
            let bytes = 100_000 + random.below(1_000_000);
            let way = if round % 3 == 2 { &site.to_target } else { &site.to_source };
            let resets = way.counts().1;
            if round % 3 == 2 {
                way.reset();
            } else {
                way.reset_after(bytes);
            }
            let insert = "insert into app.bulk (owner, n, t) select 9, i, 'reset ' || i from generate_series(1, 30000) i";
            sql(&site.source, insert);
            wait_for("the reset", FOLLOW_LIMIT, || way.counts().1 > resets);
            let end =
                query_value(&site.source, "select pg_current_wal_insert_lsn()").parse().unwrap();
            sql(&site.source, "insert into app.keyless values (0, 0, 'after')");
            wait_for("the transaction on the target", FOLLOW_LIMIT, || site.checkpoint() >= end);
        }
        site.finish(stream, load);
    }
}

/// A middlebox forgot the connections: neither end is told. (Of the target's connections only the
/// kernel can tell, by what is not acknowledged: a network within one process cannot show that.)
#[test]
fn a_half_open_connection_to_the_source_is_given_up_and_made_again() {
    let mut random = Random::seeded();
    let site = Site::new(servers().last().unwrap(), "half_open");
    pause(&site);
    let stream = site.stream();
    let load = site.load(&mut random);
    let connections = site.to_source.counts().0;
    site.to_source.freeze();
    wait_for("a new connection", FOLLOW_LIMIT, || site.to_source.counts().0 > connections);
    site.finish(stream, load);
}

#[test]
fn latency_of_fifty_milliseconds_loses_nothing_and_costs_no_connection() {
    let mut random = Random::seeded();
    for cluster in some_servers() {
        let site = Site::new(cluster, "latency");
        pause(&site);
        let stream = site.stream();
        let sender = site.sender();
        // There and back: 50 ms more for each round trip, to either server.
        for way in [&site.to_source, &site.to_target] {
            way.latency(Duration::from_millis(25));
        }
        let load = site.load(&mut random);
        let begin = site.checkpoint();
        // Longer than the sender's timeout.
        let until = std::time::Instant::now() + PAUSE;
        wait_for("the time to pass", FOLLOW_LIMIT, || std::time::Instant::now() > until);
        assert!(site.checkpoint() > begin, "nothing was applied");
        assert_eq!(site.sender(), sender, "the source gave the stream up");
        site.finish(stream, load);
    }
}

/// The network itself is as bad as it is told to be.
#[test]
fn the_network_delays_pauses_resets_and_forgets() {
    let cluster = servers().last().unwrap();
    let database = database(cluster, "network");
    let proxy = Proxy::new(cluster.server(), &database.name);
    let ask = |client: &tokio_postgres::Client, limit: Duration, query: &str| {
        block_on(async {
            tokio::time::timeout(limit, client.simple_query(query)).await.map(|rows| rows.is_ok())
        })
    };
    let (short, long) = (Duration::from_millis(300), Duration::from_secs(30));
    let client = block_on(connect(&proxy.url())).unwrap();
    let started = std::time::Instant::now();
    proxy.latency(Duration::from_millis(40));
    assert_eq!(ask(&client, long, "select 1").ok(), Some(true));
    assert!(started.elapsed() >= Duration::from_millis(80), "{:?}", started.elapsed());
    proxy.latency(Duration::ZERO);

    proxy.pause();
    assert!(ask(&client, short, "select 1").is_err(), "it was not paused");
    proxy.go_on();
    assert_eq!(ask(&client, long, "select 1").ok(), Some(true));

    proxy.freeze();
    assert!(ask(&client, short, "select 1").is_err(), "it was not forgotten");
    let other = block_on(connect(&proxy.url())).unwrap();
    let large = "select repeat('x', 1000) from generate_series(1, 10000)";
    assert_eq!(ask(&other, long, large).ok(), Some(true));
    proxy.reset_after(1_000_000);
    assert_eq!(ask(&other, long, large).ok(), Some(false), "it was not reset");
    assert_eq!(proxy.counts(), (2, 1));
}

/// The target is away, or does not answer, and the source goes on writing.
#[test]
fn a_slot_that_keeps_too_much_is_given_up_while_the_target_is_away() {
    for is_reset in [false, true] {
        let site = Site::new(servers().next().unwrap(), "maxlag_away");
        let stream = site.follow.stream(&["--max-lag", "64MB"]);
        let before = site.checkpoint();
        sql(&site.source, "insert into app.keyless values (0, 0, 'begin')");
        wait_for("the first change", FOLLOW_LIMIT, || site.checkpoint() > before);
        site.to_target.pause();
        if is_reset {
            site.to_target.reset();
        }
        sql(
            &site.source,
            "select pg_logical_emit_message(false, 'test', repeat('x', 1024 * 1024)) \
             from generate_series(1, 80)",
        );
        let given_up = stream.wait_within(Duration::from_secs(50)).expect_code(7);
        assert!(given_up.stderr.contains("was given up"), "{}", given_up.stderr);
        let slots = "select count(*) from pg_replication_slots where database = current_database()";
        assert_eq!(query_value(&site.source, slots), "0", "{given_up:?}");
        site.to_target.go_on();
    }
}
