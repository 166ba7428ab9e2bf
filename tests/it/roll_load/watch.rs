//! Who waits behind us, and for how long, by the server's own clock.

use crate::support::database::{block_on, connect};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(10);

const WAITS: &str = "select 1000 * extract(epoch from clock_timestamp() - l.waitstart)::float8,
        l.mode || ' on ' || coalesce(l.relation::regclass::text, l.locktype) || ': ' || left(a.query, 60) || ' | ' ||
        (select string_agg(left(o.query, 120), ' ; ') from unnest(pg_blocking_pids(l.pid)) b(pid) join pg_stat_activity o on o.pid = b.pid)
    from pg_locks l join pg_stat_activity a on a.pid = l.pid
    where not l.granted and l.waitstart is not null and a.application_name = 'writer'
        and a.datname = current_database()
        and exists (select from unnest(pg_blocking_pids(l.pid)) b(pid)
            join pg_stat_activity o on o.pid = b.pid where o.application_name = 'backlot roll')
    order by 1 desc limit 1";

/// The longest wait of a writer behind us.
#[derive(Default, Debug)]
pub(crate) struct Longest {
    pub(crate) ms: f64,
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
    let mut last = Instant::now();
    while !until.load(Ordering::Relaxed) {
        if let Some(row) = client.query_opt(&waits, &[]).await.unwrap()
            && row.get::<_, f64>(0) > longest.ms
        {
            longest.ms = row.get(0);
            longest.what = row.get::<_, Option<String>>(1).unwrap_or_default();
        }
        longest.looks += 1;
        tokio::time::sleep(PAUSE).await;
        longest.stall_ms = longest.stall_ms.max(1000.0 * last.elapsed().as_secs_f64());
        last = Instant::now();
    }
    longest
}
