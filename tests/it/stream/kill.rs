//! Whatever is killed at whatever moment, nothing is lost, nothing is written twice, and the source
//! is never told that something is safe that is not.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use backlot::{
    instance::{Server, StopMode},
    pg::Lsn,
};
use rustix::process::Signal;
use tokio_postgres::Client;

use super::{
    oracle,
    workload::{self, NOT_FOLLOWED, Options, Workload},
};
use crate::support::{
    Database, Follow, Random, Running, binaries, database,
    database::{block_on, connect},
    follow::FOLLOW_LIMIT,
    own_cluster, query_strings, query_value, servers, try_query_strings, wait_for,
};

/// In all; `BACKLOT_KILLS` asks for more.
const KILLS: u64 = 210;
/// A kill that comes later than this finds the stream at its ease.
const CALM: Duration = Duration::from_millis(1200);

/// The source's word for what is safe, the target's for what is there.
pub(super) struct Positions<'a> {
    pub(super) source: &'a Database,
    pub(super) target: &'a Database,
    slot: String,
}

impl<'a> Positions<'a> {
    pub(super) fn new(source: &'a Database, target: &'a Database) -> Self {
        let slot = query_value(target, "select slot_name from backlot.stream");
        Self { source, target, slot }
    }

    /// What the slot was told to be flushed.
    pub(super) fn confirmed(&self) -> Lsn {
        let slot = &self.slot;
        let query = format!(
            "select confirmed_flush_lsn from pg_replication_slots where slot_name = '{slot}'"
        );
        query_value(self.source, &query).parse().unwrap()
    }

    /// Everything before it is on the target; None while the target is away.
    pub(super) fn checkpoint(&self) -> Option<Lsn> {
        let rows = try_query_strings(self.target, "select end_lsn from backlot.checkpoint")?;
        Some(rows[0][0].parse().unwrap())
    }

    /// Asserts, again and again until it is told to stop, that the slot is never ahead.
    fn watch(&self, stop: &AtomicBool) -> u64 {
        let confirmed = format!(
            "select confirmed_flush_lsn from pg_replication_slots where slot_name = '{}'",
            self.slot
        );
        let mut looks = 0;
        let mut target = None;
        block_on(async {
            let source = connect(&self.source.url).await.unwrap();
            while !stop.load(Ordering::Relaxed) {
                // In this order: both only grow.
                let confirmed = lsn(&source, &confirmed).await.unwrap();
                if let Some(checkpoint) = checkpoint(&mut target, &self.target.url).await {
                    assert!(
                        confirmed <= checkpoint,
                        "the slot has {confirmed}, the target {checkpoint}"
                    );
                    looks += 1;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        looks
    }
}

async fn lsn(client: &Client, query: &str) -> Result<Lsn, tokio_postgres::Error> {
    let query = format!("select ({query})::text");
    Ok(client.query_one(&query, &[]).await?.get::<_, &str>(0).parse().unwrap())
}

/// None while the target is away; a session that it ended is made again.
async fn checkpoint(session: &mut Option<Client>, url: &str) -> Option<Lsn> {
    if session.is_none() {
        *session = connect(url).await.ok();
    }
    let found = lsn(session.as_ref()?, "select end_lsn from backlot.checkpoint").await;
    found.inspect_err(|_| *session = None).ok()
}

/// Kills until `count` are done; returns the stream that runs then.
struct Killer<'a> {
    follow: &'a Follow,
    positions: &'a Positions<'a>,
    random: Random,
    /// Of `backlot`, of the target's server by SIGKILL and by an immediate stop.
    killed: [u64; 3],
    found_running: u64,
    never_began: u64,
}

/// Ends the watch also where the test fails.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Killer<'_> {
    fn run(&mut self, server: &mut Server, count: u64, load: &Workload) -> Running {
        let mut stream = self.follow.stream(&[]);
        for done in 0..count {
            self.wait();
            assert!(load.is_well(), "a session of the load ended after {done} kills");
            stream = if done % 4 == 3 {
                self.kill_server(server, stream)
            } else {
                self.kill_stream(stream)
            };
        }
        stream
    }

    /// Short times and some long ones: the first moments of a stream have most that can go wrong.
    fn wait(&mut self) {
        let limit = *self.random.pick(&[30, 150, 400, CALM.as_millis()]);
        let limit = u64::try_from(limit).unwrap();
        std::thread::sleep(Duration::from_millis(self.random.below(limit)));
    }

    fn kill_stream(&mut self, mut stream: Running) -> Running {
        if stream.is_running() {
            self.found_running += u64::from(stream.kill());
            self.killed[0] += 1;
            return self.follow.stream(&[]);
        }
        self.begin_again(stream)
    }

    /// A server that a stream has never reached is reported and not waited for: whoever started
    /// the stream starts it again, as here. One that had begun never ends by itself.
    fn begin_again(&mut self, stream: Running) -> Running {
        let output = stream.wait();
        let had_begun = output.stdout.contains("\"phase\":\"streaming\"");
        assert!(
            output.code == Some(8) && !had_begun,
            "the stream did not outlive the crash of its target: {output:?}"
        );
        self.never_began += 1;
        self.follow.stream(&[])
    }

    /// The stream is held while the server is away, every other time: then what the slot was told
    /// last is compared with what was there after the crash, and nothing else.
    fn kill_server(&mut self, server: &mut Server, mut stream: Running) -> Running {
        let is_held = self.random.once_in(2);
        if is_held {
            stream.signal(Signal::STOP);
        }
        if self.random.once_in(2) {
            server.kill9().unwrap();
            self.killed[1] += 1;
        } else {
            server.stop(StopMode::Immediate).unwrap();
            self.killed[2] += 1;
        }
        let confirmed = self.positions.confirmed();
        server.start().unwrap();
        let checkpoint = self.positions.checkpoint().unwrap();
        assert!(confirmed <= checkpoint, "the slot has {confirmed}, the target kept {checkpoint}");
        if is_held {
            stream.signal(Signal::CONT);
        }
        if stream.is_running() {
            return stream;
        }
        self.begin_again(stream)
    }
}

/// Says which tables are left, and why.
fn caught_up(follow: &Follow, target: &Database) {
    let output = follow.catch_up();
    let states =
        "select relation, state, reason from backlot.stream_table where state <> 'streaming'";
    let states = query_strings(target, states);
    assert_eq!(output.code, Some(0), "{output:?}\n{states:?}");
}

#[test]
fn two_hundred_kills_under_load_change_nothing_of_the_end() {
    let kills = std::env::var("BACKLOT_KILLS").ok().and_then(|count| count.parse().ok());
    let kills: u64 = kills.unwrap_or(KILLS);
    let mut random = Random::seeded();
    // From the oldest to the newest, and within the newest.
    let pairs = [
        (servers().next().unwrap(), binaries().last().unwrap()),
        (servers().last().unwrap(), binaries().last().unwrap()),
    ];
    for (from, to) in pairs {
        let (cluster, mut server) = own_cluster(to);
        let (source, target) = (workload::source(from, "kill"), database(cluster, "kill_to"));
        let follow = Follow::new(&source.url, &target.url).config(&workload::config(&source));
        let options =
            Options { pace: Duration::from_millis(15), huge_once_in: 500, ..Options::default() };
        let load = Workload::start(&source, &mut random, options);
        follow.start().expect_code(0);
        let positions = Positions::new(&source, &target);
        let stop = AtomicBool::new(false);
        let mut killer = Killer {
            follow: &follow,
            positions: &positions,
            random: random.fork(),
            killed: [0; 3],
            found_running: 0,
            never_began: 0,
        };
        let started = Instant::now();
        let (looks, work) = std::thread::scope(|scope| {
            let _ending = Ending(&stop);
            let watch = scope.spawn(|| positions.watch(&stop));
            let stream = killer.run(&mut server, kills.div_ceil(2), &load);
            let work = load.finish();
            stop.store(true, Ordering::Relaxed);
            let looks = watch.join().unwrap();
            stream.signal(Signal::TERM);
            let code = stream.wait_within(FOLLOW_LIMIT).code;
            // 8: it had not yet come back to the server that was killed last; 9: a table that the
            // load truncated before it was copied is not yet copied again.
            assert!(matches!(code, Some(0 | 8 | 9)), "{code:?}");
            (looks, work)
        });
        println!(
            "{} to {}: {:?} kills of [backlot, kill -9, immediate], {} found it running, {:?}, {looks} looks; {work:?}",
            from.major,
            cluster.major,
            killer.killed,
            killer.found_running,
            started.elapsed()
        );
        assert!(looks > kills / 4, "{looks} looks");
        // A stream that ended by itself would make the kills worth nothing.
        assert_eq!(killer.found_running, killer.killed[0]);
        assert!(killer.never_began < kills / 8, "{} never began", killer.never_began);
        caught_up(&follow, &target);
        let expected = oracle::transformed(&source, &workload::config(&source));
        oracle::assert_equal(&expected, &target, NOT_FOLLOWED);
        let stream = follow.stream(&[]);
        follow.run("resync", NOT_FOLLOWED).expect_code(0);
        // The load's texts stand in masked columns and in kept ones.
        follow.run("verify", &["--no-leak-scan"]).expect_code(0);
        stream.signal(Signal::TERM);
        stream.wait_within(FOLLOW_LIMIT).expect_code(0);
        oracle::assert_equal(&expected, &target, &[]);
        follow.run("stop", &[]).expect_code(0);
        let slots = "select count(*) from pg_replication_slots where database = current_database()";
        assert_eq!(query_value(&source, slots), "0");
        server.stop(StopMode::Immediate).unwrap();
    }
}

/// The last word of a stream that is asked to end: everything that it took is on the target.
#[test]
fn a_stream_that_is_asked_to_end_has_written_what_it_took_and_said_so() {
    for signal in [Signal::TERM, Signal::INT] {
        let cluster = servers().last().unwrap();
        let (source, target) = (workload::source(cluster, "drain"), database(cluster, "drain_to"));
        let follow = Follow::new(&source.url, &target.url).config(&workload::config(&source));
        follow.start().expect_code(0);
        let positions = Positions::new(&source, &target);
        let stream = follow.stream(&[]);
        let mut random = Random::seeded();
        let load = Workload::start(&source, &mut random, Options::default());
        let begin = positions.checkpoint().unwrap();
        wait_for("progress", FOLLOW_LIMIT, || positions.checkpoint().unwrap() > begin);
        stream.signal(signal);
        stream.wait_within(FOLLOW_LIMIT).expect_code(0);
        let (confirmed, checkpoint) = (positions.confirmed(), positions.checkpoint().unwrap());
        assert!(confirmed <= checkpoint, "{confirmed} {checkpoint}");
        load.finish();
        follow.catch_up().expect_code(0);
        oracle::assert_equal(
            &oracle::transformed(&source, &workload::config(&source)),
            &target,
            NOT_FOLLOWED,
        );
    }
}
