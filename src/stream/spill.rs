//! Where segments go that memory has no room for: temporary files that have no name.
//!
//! They hold masked rows only, and are gone with the process, however it ends.

use super::machine::{BufferId, Segment, StoredId};
use crate::sink::apply::{BoundTable, Change, Operation};
use crate::transform::{MaskedRow, MaskedRows};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(super) struct Spill {
    directory: PathBuf,
    files: HashMap<BufferId, Spilled>,
    /// Written so far, by all buffers.
    pub(super) bytes: u64,
}

struct Spilled {
    file: File,
    end: u64,
    segments: HashMap<usize, Place>,
}

struct Place {
    start: u64,
    length: usize,
    tables: Vec<Arc<BoundTable>>,
}

impl Spill {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, files: HashMap::new(), bytes: 0 }
    }

    pub(super) fn store(&mut self, id: StoredId, segment: &Segment) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(segment.rows().byte_count() * 9 / 8);
        for (subxid, change) in segment.entries() {
            write(subxid, change, segment.rows(), &mut bytes);
        }
        if !self.files.contains_key(&id.buffer) {
            let file = nameless(&self.directory)?;
            let spilled = Spilled { file, end: 0, segments: HashMap::new() };
            self.files.insert(id.buffer, spilled);
        }
        let Some(spilled) = self.files.get_mut(&id.buffer) else { return Ok(()) };
        spilled.file.write_all_at(&bytes, spilled.end)?;
        let place =
            Place { start: spilled.end, length: bytes.len(), tables: segment.tables().to_vec() };
        spilled.segments.insert(id.index, place);
        spilled.end += bytes.len() as u64;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    pub(super) fn load(&mut self, id: StoredId) -> io::Result<Segment> {
        let gone = || io::Error::from(ErrorKind::NotFound);
        let spilled = self.files.get_mut(&id.buffer).ok_or_else(gone)?;
        let place = spilled.segments.remove(&id.index).ok_or_else(gone)?;
        let mut bytes = vec![0; place.length];
        spilled.file.read_exact_at(&mut bytes, place.start)?;
        let mut rows = MaskedRows::default();
        let mut entries = Vec::new();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let entry = read(&mut rest, &mut rows);
            entries.push(entry.ok_or_else(|| io::Error::from(ErrorKind::InvalidData))?);
        }
        Ok(Segment::read(place.tables, rows, entries.into_iter()))
    }

    pub(super) fn forget(&mut self, buffer: BufferId) {
        self.files.remove(&buffer);
    }
}

/// A file that only this process can reach.
fn nameless(directory: &Path) -> io::Result<File> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    /// Left over names of processes that were killed between the two steps below.
    const ATTEMPTS: usize = 100;
    for _ in 0..ATTEMPTS {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("backlot-spill-{}-{number}", std::process::id()));
        let mut options = OpenOptions::new();
        match options.read(true).write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => {
                std::fs::remove_file(&path)?;
                return Ok(file);
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::from(ErrorKind::AlreadyExists))
}

const INSERT: u8 = 0;
const UPDATE: u8 = 1;
const UPDATE_WITH_OLD: u8 = 2;
const DELETE: u8 = 3;
const TRUNCATE: u8 = 4;
const TRUNCATE_RESTART: u8 = 5;

fn write(subxid: u32, change: &Change, rows: &MaskedRows, out: &mut Vec<u8>) {
    out.extend_from_slice(&subxid.to_ne_bytes());
    out.extend_from_slice(&change.table.to_ne_bytes());
    let mut put = |kind: u8, written: &[MaskedRow]| {
        out.push(kind);
        for row in written {
            rows.write(*row, out);
        }
    };
    match change.operation {
        Operation::Insert { new } => put(INSERT, &[new]),
        Operation::Update { old: None, new } => put(UPDATE, &[new]),
        Operation::Update { old: Some(old), new } => put(UPDATE_WITH_OLD, &[old, new]),
        Operation::Delete { old } => put(DELETE, &[old]),
        Operation::Truncate { statement, restart_identity } => {
            put(if restart_identity { TRUNCATE_RESTART } else { TRUNCATE }, &[]);
            out.extend_from_slice(&statement.to_ne_bytes());
        }
    }
}

fn read(bytes: &mut &[u8], rows: &mut MaskedRows) -> Option<(u32, Change)> {
    let number = |bytes: &mut &[u8]| {
        let (number, rest) = bytes.split_first_chunk::<4>()?;
        *bytes = rest;
        Some(u32::from_ne_bytes(*number))
    };
    let (subxid, table) = (number(bytes)?, number(bytes)?);
    let (kind, rest) = bytes.split_first()?;
    *bytes = rest;
    let operation = match *kind {
        INSERT => Operation::Insert { new: rows.read(bytes)? },
        UPDATE => Operation::Update { old: None, new: rows.read(bytes)? },
        UPDATE_WITH_OLD => {
            Operation::Update { old: Some(rows.read(bytes)?), new: rows.read(bytes)? }
        }
        DELETE => Operation::Delete { old: rows.read(bytes)? },
        TRUNCATE | TRUNCATE_RESTART => Operation::Truncate {
            statement: number(bytes)?,
            restart_identity: *kind == TRUNCATE_RESTART,
        },
        _ => return None,
    };
    Some((subxid, Change { table, operation }))
}
