//! A network between `backlot` and a server of ours, that a test can make bad.
//!
//! It listens on 127.0.0.1 and passes on to the server's socket. Each direction of a connection
//! has a thread that reads and one that writes after the latency, so that latency costs no
//! throughput but what the protocol loses by it.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::spawn,
    time::{Duration, Instant},
};

use backlot::instance::Server;

/// Chunks of a direction that wait for their time: 50 ms of a fast connection.
const IN_FLIGHT: usize = 1024;
const CHUNK: usize = 32 * 1024;

pub(crate) struct Proxy {
    port: u16,
    database: String,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    paused: bool,
    latency: Duration,
    /// Bytes from the server, over all connections, until they are reset.
    reset_after: Option<u64>,
    links: Vec<Arc<Link>>,
    accepted: u64,
    resets: u64,
}

/// A connection and the one behind it.
struct Link {
    client: TcpStream,
    server: UnixStream,
    /// Nothing passes any more, and nobody is told.
    frozen: Mutex<bool>,
}

impl Proxy {
    pub(crate) fn new(server: &Server, database: &str) -> Self {
        let upstream = server.socket_dir().join(format!(".s.PGSQL.{}", server.port()));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            upstream,
            state: Mutex::new(State::default()),
            changed: Condvar::new(),
        });
        let accepting = Arc::clone(&shared);
        // Ends with the process, as the servers do.
        spawn(move || {
            for client in listener.incoming() {
                accepting.accept(client.unwrap());
            }
        });
        Self { port, database: database.to_owned(), shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/{}", self.port, self.database)
    }

    /// Nothing passes in either direction, on all connections, until [`Proxy::go_on`].
    pub(crate) fn pause(&self) {
        self.shared.change(|state| state.paused = true);
    }

    pub(crate) fn go_on(&self) {
        self.shared.change(|state| state.paused = false);
    }

    /// What each direction takes; a round trip takes two of them.
    pub(crate) fn latency(&self, latency: Duration) {
        self.shared.change(|state| state.latency = latency);
    }

    /// Resets all connections.
    pub(crate) fn reset(&self) {
        self.shared.change(State::reset);
    }

    /// Resets all connections when this many more bytes have come from the server.
    pub(crate) fn reset_after(&self, bytes: u64) {
        self.shared.change(|state| state.reset_after = Some(bytes));
    }

    /// The connections that are open now are dead from here on, and neither end is told. New ones
    /// live.
    pub(crate) fn freeze(&self) {
        self.shared.change(|state| {
            for link in state.links.drain(..) {
                *link.frozen.lock().unwrap() = true;
                // Kept open to the end of the process.
                std::mem::forget(link);
            }
        });
    }

    /// Connections that were made, and how many times all were reset.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let state = self.shared.lock();
        (state.accepted, state.resets)
    }
}

impl State {
    fn reset(&mut self) {
        self.reset_after = None;
        self.resets += 1;
        for link in self.links.drain(..) {
            link.reset();
        }
    }
}

impl Link {
    /// Wakes the threads; with the last of them the client's socket is closed with RST.
    fn reset(&self) {
        let linger = Some(Duration::ZERO);
        // Either end may be gone already.
        drop(socket2::SockRef::from(&self.client).set_linger(linger));
        drop(self.client.shutdown(Shutdown::Read));
        drop(self.server.shutdown(Shutdown::Both));
    }

    fn is_frozen(&self) -> bool {
        *self.frozen.lock().unwrap()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn accept(self: &Arc<Self>, client: TcpStream) {
        // A server that is away: the client sees its connection closed.
        let Ok(server) = UnixStream::connect(&self.upstream) else { return };
        client.set_nodelay(true).unwrap();
        let link = Arc::new(Link { client, server, frozen: Mutex::new(false) });
        self.change(|state| {
            state.accepted += 1;
            state.links.push(Arc::clone(&link));
        });
        for from_server in [false, true] {
            let (sender, receiver) = sync_channel(IN_FLIGHT);
            let (reading, writing) = (Arc::clone(&link), Arc::clone(&link));
            let (shared, other) = (Arc::clone(self), Arc::clone(self));
            spawn(move || shared.read(&reading, from_server, &sender));
            spawn(move || other.write(&writing, from_server, &receiver));
        }
    }

    /// Waits while the network is paused.
    fn wait(&self) -> MutexGuard<'_, State> {
        self.changed.wait_while(self.lock(), |state| state.paused).unwrap()
    }

    fn read(&self, link: &Arc<Link>, from_server: bool, to: &SyncSender<(Instant, Vec<u8>)>) {
        let mut buffer = vec![0; CHUNK];
        loop {
            drop(self.wait());
            let read = if from_server {
                (&link.server).read(&mut buffer)
            } else {
                (&link.client).read(&mut buffer)
            };
            // An end or an error: the writer passes it on.
            let Some(count) = read.ok().filter(|count| *count > 0) else { break };
            let mut state = self.wait();
            let due = Instant::now() + state.latency;
            if from_server && let Some(left) = state.reset_after {
                match left.checked_sub(count as u64) {
                    Some(left) => state.reset_after = Some(left),
                    None => state.reset(),
                }
            }
            drop(state);
            if link.is_frozen() {
                continue;
            }
            if to.send((due, buffer[..count].to_vec())).is_err() {
                break;
            }
        }
        self.lock().links.retain(|one| !Arc::ptr_eq(one, link));
    }

    fn write(&self, link: &Link, from_server: bool, from: &Receiver<(Instant, Vec<u8>)>) {
        while let Ok((due, bytes)) = from.recv() {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            drop(self.wait());
            if link.is_frozen() {
                continue;
            }
            let written = if from_server {
                (&link.client).write_all(&bytes)
            } else {
                (&link.server).write_all(&bytes)
            };
            if written.is_err() {
                break;
            }
        }
        // The end of one direction is passed on; after a reset the socket is gone anyway.
        if !link.is_frozen() && from_server {
            let lingers = socket2::SockRef::from(&link.client).linger().ok().flatten();
            if lingers.is_none() {
                drop(link.client.shutdown(Shutdown::Both));
            }
        } else if !link.is_frozen() {
            drop(link.server.shutdown(Shutdown::Both));
        }
    }
}
