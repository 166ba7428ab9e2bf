//! Commands that need a stream while another one begins: whichever has the target's lock answers.

use std::time::Duration;

use rustix::process::Signal;

use crate::support::{
    Follow, Proxy, database, follow::FOLLOW_LIMIT, query_value, servers, sql, wait_for,
};

/// Time to step in between two of a command's queries.
const LATENCY: Duration = Duration::from_millis(150);
const STREAMS: &str = "select count(*) from pg_stat_activity \
    where application_name = 'backlot stream' and datname = current_database()";
const LOCKED: &str = "select count(*) from pg_locks l join pg_database d on d.oid = l.database \
    where l.locktype = 'advisory' and d.datname = current_database()";

#[test]
fn what_is_asked_while_a_stream_begins_is_answered() {
    let cluster = servers().last().unwrap();
    let (source, target) = (database(cluster, "beside"), database(cluster, "beside_to"));
    sql(&source, "create table t (id int primary key); insert into t values (1), (2)");
    let rules = "version: 1\ntables:\n  public.t: {columns: {id: keep}}\n";
    let follow = Follow::new(&source.url, &target.url).config(rules);
    follow.start().expect_code(0);
    for (verb, flags) in [("verify", "--no-leak-scan"), ("resync", "public.t")] {
        let proxy = Proxy::new(cluster.server(), &target.name);
        proxy.latency(LATENCY);
        let slow = Follow::new(&source.url, &proxy.url());
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| slow.run(verb, &[flags]));
            // It has found no stream, and begins one of its own.
            wait_for("its own stream", FOLLOW_LIMIT, || query_value(&target, STREAMS) != "0");
            proxy.pause();
            let stream = follow.stream(&[]);
            wait_for("the stream's lock", FOLLOW_LIMIT, || query_value(&target, LOCKED) != "0");
            proxy.go_on();
            proxy.latency(Duration::ZERO);
            asked.join().unwrap().expect_code(0);
            stream.signal(Signal::TERM);
            stream.wait_within(FOLLOW_LIMIT).expect_code(0);
        });
    }
    follow.run("stop", &[]).expect_code(0);
}
