//! What a lane that has lost its connection at the worst moment makes of it: the range may be done.

use std::{
    io::{Read, Write},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use crate::{
    crash::{clone, source},
    support::{
        Database, clone::assert_same, clone::state, database, query_value, servers, some_servers,
        sql,
    },
};

/// What becomes of the server's answer to the note that a range is done.
enum Answer {
    Passes,
    /// Swallowed once it is there, and the connection closed.
    IsLost,
}

/// Stands between a clone and its target; shown every note that a range is done.
struct Proxy {
    dir: tempfile::TempDir,
    target: String,
}

impl Proxy {
    fn start(target: &Database, look: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let (dir, look) = (tempfile::tempdir().unwrap(), Arc::new(look));
        let server = target.cluster.server();
        let name = format!(".s.PGSQL.{}", server.port());
        let real = server.socket_dir().join(&name);
        let listener = UnixListener::bind(dir.path().join(&name)).unwrap();
        // Ends with the process.
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let server = UnixStream::connect(&real).unwrap();
                pass(client.unwrap(), server, Arc::clone(&look));
            }
        });
        let (head, rest) = target.url.split_once("host=").unwrap();
        let (_, tail) = rest.split_once('&').unwrap();
        let target = format!("{head}host={}&{tail}", dir.path().display());
        Self { dir, target }
    }

    /// The target by way of the proxy.
    fn target(&self) -> &str {
        assert!(self.dir.path().exists());
        &self.target
    }
}

fn pass(
    client: UnixStream,
    server: UnixStream,
    look: Arc<impl Fn(&str) -> Answer + Send + Sync + 'static>,
) {
    let is_lost = Arc::new(AtomicBool::new(false));
    let (from, to, loses) =
        (client.try_clone().unwrap(), server.try_clone().unwrap(), Arc::clone(&is_lost));
    std::thread::spawn(move || {
        forward(from, to, |bytes| {
            let text = String::from_utf8_lossy(bytes);
            if text.contains("set done = true") && matches!(look(&text), Answer::IsLost) {
                loses.store(true, Ordering::SeqCst);
            }
            true
        });
    });
    let mut answer = Vec::new();
    std::thread::spawn(move || {
        forward(server, client, |bytes| {
            if !is_lost.load(Ordering::SeqCst) {
                return true;
            }
            answer.extend_from_slice(bytes);
            !answer.windows(7).any(|tag| tag == b"COMMIT\0")
        });
    });
}

/// Until one side closes, or `goes_on` says no; then both are closed.
fn forward(mut from: UnixStream, mut to: UnixStream, mut goes_on: impl FnMut(&[u8]) -> bool) {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = from.read(&mut buffer).unwrap_or(0);
        if count == 0 || !goes_on(&buffer[..count]) || to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    // The other side may have closed already.
    drop(from.shutdown(Shutdown::Both));
    drop(to.shutdown(Shutdown::Both));
}

#[test]
fn a_range_whose_commit_got_no_answer_counts_as_done() {
    for cluster in some_servers() {
        let (source, target) =
            (source(cluster, "lost_answer"), database(cluster, "lost_answer_to"));
        let losses = Arc::new(AtomicU32::new(2));
        let left = Arc::clone(&losses);
        let proxy = Proxy::start(&target, move |_| {
            let lose = |left: u32| left.checked_sub(1);
            match left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, lose) {
                Ok(_) => Answer::IsLost,
                Err(_) => Answer::Passes,
            }
        });
        let through =
            Database { url: proxy.target().to_owned(), name: target.name.clone(), cluster };
        let summary = clone(&source, &through).keep_all().run().expect_code(0).summary();
        assert_eq!(losses.load(Ordering::SeqCst), 0);
        assert_eq!(summary["rows"], 28_500);
        assert_eq!(summary["ranges_copied"], summary["ranges_total"]);
        assert_same(&state(&source), &target);
    }
}

#[test]
fn a_range_that_another_transaction_has_completed_meanwhile_counts_as_done() {
    let cluster = servers().last().unwrap();
    let (source, target) = (source(cluster, "lost_race"), database(cluster, "lost_race_to"));
    let direct = Database { url: target.url.clone(), name: target.name.clone(), cluster };
    // As a server process does that outlives its client: the same note, committed first.
    let proxy = Proxy::start(&target, move |note| {
        if note.contains("row_count = 500,") {
            let (_, statement) = note.split_once("with done").unwrap();
            let (statement, _) = statement.split_once("; commit").unwrap();
            sql(&direct, &format!("with done{statement}"));
        }
        Answer::Passes
    });
    let through = Database { url: proxy.target().to_owned(), name: target.name.clone(), cluster };
    let summary = clone(&source, &through).keep_all().run().expect_code(0).summary();
    assert_eq!(summary["rows"], 28_500);
    // The rows would be the other transaction's: ours are rolled back, not doubled.
    assert_eq!(query_value(&target, "select count(*) from app.small"), "0");
    assert_eq!(query_value(&target, "select count(*) from app.big"), "28000");
}
