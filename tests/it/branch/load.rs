//! A write load on a branch, with an invariant: every transaction moves the same amount through
//! three tables.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use super::rig::Project;
use crate::support::database::{block_on, connect};

const WRITERS: u64 = 4;

pub(super) const SCHEMA: &str = "
    create table accounts (id int primary key, balance bigint not null, filler text);
    create table tellers (id int primary key, balance bigint not null);
    create table history (id bigint generated always as identity primary key, teller int, delta bigint);
    create index on history (teller);
    insert into accounts select g, 0, repeat('x', 80) from generate_series(1, 20000) g;
    insert into tellers select g, 0 from generate_series(1, 10) g;";

/// True on a database that is of one moment.
pub(super) const INVARIANT: &str = "
    select (select sum(balance) from accounts) = (select sum(balance) from tellers)
       and (select sum(balance) from tellers) = (select coalesce(sum(delta), 0) from history)";

pub(super) struct Load {
    is_over: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    writers: Vec<JoinHandle<()>>,
}

impl Load {
    pub(super) fn start(project: &Project, branch: &str) -> Self {
        let url = project.url(branch);
        let (is_over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let writer = |number: u64| {
            let (url, is_over, done) = (url.clone(), Arc::clone(&is_over), Arc::clone(&done));
            std::thread::spawn(move || {
                block_on(write(&url, number, &is_over, &done));
            })
        };
        let writers = (0..WRITERS).map(writer).collect();
        Self { is_over, done, writers }
    }

    /// Transactions so far.
    pub(super) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    pub(super) fn stop(mut self) -> u64 {
        self.is_over.store(true, Ordering::Relaxed);
        for writer in self.writers.drain(..) {
            writer.join().unwrap();
        }
        self.done()
    }
}

async fn write(url: &str, number: u64, is_over: &AtomicBool, done: &AtomicU64) {
    let client = connect(url).await.unwrap();
    let mut at = number;
    while !is_over.load(Ordering::Relaxed) {
        at += WRITERS;
        let (account, teller, delta) = (at * 7919 % 20000 + 1, at % 10 + 1, at % 1000);
        // One string: one transaction.
        let text = format!(
            "update accounts set balance = balance + {delta} where id = {account};
             update tellers set balance = balance + {delta} where id = {teller};
             insert into history (teller, delta) values ({teller}, {delta})"
        );
        client.batch_execute(&text).await.unwrap();
        done.fetch_add(1, Ordering::Relaxed);
        if at % 4001 < WRITERS {
            client.batch_execute("checkpoint").await.unwrap();
        }
    }
}
