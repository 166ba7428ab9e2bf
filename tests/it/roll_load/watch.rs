//! Who waits behind us, and for how long, by the server's own clock.

use super::starved::Starved;
use crate::support::database::{block_on, connect};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio_postgres::Row;

const PAUSE: Duration = Duration::from_millis(10);

/// Each writer that waits: who and since when (ms), how long (ms), behind which of our servers, and what for.
const WAITS: &str = "select l.pid, 1000 * extract(epoch from l.waitstart)::float8,
        1000 * extract(epoch from clock_timestamp() - l.waitstart)::float8, ours.pids,
        l.mode || ' on ' || coalesce(l.relation::regclass::text, l.locktype) || ': ' || left(a.query, 60) || ' | ' ||
        ours.queries
    from pg_locks l join pg_stat_activity a on a.pid = l.pid
    cross join lateral (select array_agg(o.pid) as pids, string_agg(left(o.query, 120), ' ; ') as queries
        from unnest(pg_blocking_pids(l.pid)) b(pid) join pg_stat_activity o on o.pid = b.pid
        where o.application_name = 'backlot roll') ours
    where not l.granted and l.waitstart is not null and a.application_name = 'writer'
        and a.datname = current_database() and ours.pids is not null";

/// The longest wait of a writer behind us.
#[derive(Default, Debug)]
pub(crate) struct Longest {
    /// Without the time in which we were ready to go on and got no processor.
    pub(crate) ms: f64,
    /// That time.
    pub(crate) starved_ms: f64,
    pub(crate) what: String,
    /// The longest time between two looks: so long the machine let us stand at least once.
    pub(crate) stall_ms: f64,
    pub(crate) looks: u32,
}

pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Longest>,
}

impl Watch {
    pub(crate) fn start(url: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (url, until) = (url.to_owned(), Arc::clone(&stop));
        let thread = std::thread::spawn(move || block_on(watch(&url, &until)));
        Self { stop, thread }
    }

    pub(crate) fn end(self) -> Longest {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

async fn watch(url: &str, until: &AtomicBool) -> Longest {
    let client = connect(url).await.unwrap();
    let waits = client.prepare(WAITS).await.unwrap();
    let mut longest = Longest::default();
    let mut first_looks = HashMap::new();
    let mut last = Instant::now();
    while !until.load(Ordering::Relaxed) {
        for row in client.query(&waits, &[]).await.unwrap() {
            longest.take(url, &row, &mut first_looks);
        }
        longest.looks += 1;
        tokio::time::sleep(PAUSE).await;
        longest.stall_ms = longest.stall_ms.max(1000.0 * last.elapsed().as_secs_f64());
        last = Instant::now();
    }
    longest
}

impl Longest {
    /// `first_looks`: by writer and since when it waits, how starved we were when that was first seen.
    fn take(&mut self, url: &str, wait: &Row, first_looks: &mut HashMap<(i32, u64), Starved>) {
        let since = wait.get::<_, f64>(1).to_bits();
        let starved = Starved::look(url, &wait.get::<_, Vec<i32>>(3));
        let first = first_looks.entry((wait.get(0), since)).or_insert_with(|| starved.clone());
        let starved_ms = starved.ms_after(first);
        let ms = wait.get::<_, f64>(2) - starved_ms;
        if ms > self.ms {
            (self.ms, self.starved_ms) = (ms, starved_ms);
            self.what = wait.get::<_, Option<String>>(4).unwrap_or_default();
        }
    }
}
