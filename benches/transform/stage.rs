//! The stage: rows a second on one core, and heap allocations per value once it is warm.

use backlot::pg::pgoutput::Tuple;
use backlot::pg::{Format, Kind};
use backlot::transform::key::RootKey;
use backlot::transform::op::Op;
use backlot::transform::{
    ColumnMask, MaskedRows, Memo, Rule, Shape, Stage, TableMask, Transform, Treatment, TupleStage,
    UnknownPath,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::sync::Arc;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ROWS: usize = 20_000;
const ROUNDS: usize = 20;

pub(super) fn measure(root: &RootKey) {
    let raw = frames();
    let email = || column(2, "email", Kind::Text, Transform::Email, root);
    let first = || column(3, "first_name", Kind::Text, Transform::FirstName, root);
    let last = || column(4, "last_name", Kind::Text, Transform::LastName, root);
    let phone = || column(5, "phone", Kind::Text, Transform::Phone, root);
    let street = || column(6, "street", Kind::Text, Transform::Street, root);
    let city = || column(7, "city", Kind::Text, Transform::City, root);
    let birth = || {
        column(
            8,
            "birth_date",
            Kind::Date,
            Transform::DateShift { max_days: 180, subject: None },
            root,
        )
    };
    let meta = || {
        let paths = [("$.ip", Transform::Ip), ("$.backup", Transform::Email)]
            .map(|(path, transform)| (path.to_owned(), Rule::plain(transform)));
        let json = Transform::Json { paths: paths.into(), unknown: UnknownPath::Keep };
        column(12, "meta", Kind::Jsonb, json, root)
    };
    let four = || vec![email(), first(), last(), phone()];
    let eight = || vec![email(), first(), last(), phone(), street(), city(), birth(), meta()];
    run("4 masked columns", &raw, four());
    run("8 masked columns", &raw, eight());
    run_tuples("4 masked columns", &raw, four());
    run_tuples("8 masked columns", &raw, eight());
}

fn column(
    position: usize,
    name: &str,
    kind: Kind,
    transform: Transform,
    root: &RootKey,
) -> ColumnMask {
    let shape = Shape { kind: kind.clone(), max_chars: None, unique: false };
    let op = Op::build(&Rule::plain(transform), &shape, root).unwrap();
    ColumnMask {
        position,
        name: name.to_owned(),
        kind,
        treatment: Treatment::Transform(Box::new(op)),
        subject: Vec::new(),
    }
}

fn run(name: &str, raw: &[u8], masks: Vec<ColumnMask>) {
    let count = masks.len();
    let TableMask::Rules(masks) = TableMask::new(masks) else { return };
    let mut stage = Stage::new(&masks, Format::Binary, 13);
    time(&format!("stage, {name}"), raw.len(), count, || assert!(stage.run(raw).is_ok()));
}

/// The same rows as tuples of the stream, which differ by a byte a column.
fn run_tuples(name: &str, raw: &[u8], masks: Vec<ColumnMask>) {
    let count = masks.len();
    let mut tuples = Vec::new();
    let mut rest = raw;
    while !rest.is_empty() {
        rest = &rest[7..];
        for _ in 0..13 {
            let length = u32::from_be_bytes(*rest.first_chunk().unwrap()) as usize + 4;
            tuples.push(b'b');
            tuples.extend_from_slice(&rest[..length]);
            rest = &rest[length..];
        }
    }
    let mut stage = TupleStage::new(Arc::new(TableMask::new(masks)));
    let (mut memo, mut out) = (Memo::default(), MaskedRows::default());
    time(&format!("tuples, {name}"), tuples.len(), count, || {
        // As often as the stream hands a group over.
        out.clear();
        let mut rest = tuples.as_slice();
        while let Some((tuple, after)) = Tuple::split(13, rest).filter(|_| !rest.is_empty()) {
            if out.byte_count() > 1 << 20 {
                out.clear();
            }
            assert!(stage.mask(tuple, &mut memo, &mut out).is_ok());
            rest = after;
        }
    });
}

fn time(name: &str, bytes: usize, masks: usize, mut work: impl FnMut()) {
    // One pass grows every buffer to its size.
    work();
    let region = Region::new(ALLOCATOR);
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        work();
        best = best.min(started.elapsed().as_secs_f64());
    }
    let stats = region.change();
    let allocations = stats.allocations + stats.reallocations;
    println!(
        "{name}: {:.2} million rows/s on one core, {:.0} MB/s, {allocations} allocations in {} values",
        ROWS as f64 / best / 1e6,
        bytes as f64 / best / 1e6,
        ROWS * ROUNDS * masks
    );
}

/// The rows of `benches/clone.rs` in COPY's binary format, one frame a row.
fn frames() -> Vec<u8> {
    let mut out = Vec::new();
    for row in 0..ROWS {
        let mut tuple = 13u16.to_be_bytes().to_vec();
        let mut field = |bytes: &[u8]| {
            tuple.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_be_bytes());
            tuple.extend_from_slice(bytes);
        };
        field(&(row as u64).to_be_bytes());
        field(&(1_000_000 + row as u64).to_be_bytes());
        field(format!("user{row}@mail{}.example.net", row % 97).as_bytes());
        field(
            ["Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Leslie", "Margaret"][row % 8]
                .as_bytes(),
        );
        field(["Lovelace", "Hopper", "Turing", "Dijkstra", "Liskov", "Knuth"][row % 6].as_bytes());
        field(format!("+1 {} {} {:04}", 200 + row % 700, 200 + row % 799, row % 10_000).as_bytes());
        field(format!("{} Cathedral Avenue, Building {}", row % 9_999, row % 31).as_bytes());
        field(format!("Springfield {}", row % 500).as_bytes());
        field(&(-20_000 + i32::try_from(row % 27_000).unwrap()).to_be_bytes());
        field(&[0, 2, 0, 0, 0, 0, 0, 2, 0, 12, 0x0b, 0xb8]);
        field(&(row as u64 * 13_000_000).to_be_bytes());
        field(["free", "pro", "team"][row % 3].as_bytes());
        let mut meta = vec![1];
        meta.extend_from_slice(
            format!(
                "{{\"ip\": \"10.1.{}.{}\", \"tags\": [\"a\", {}], \"agent\": \"Mozilla/5.0 (X11; Linux x86_64)\", \"backup\": \"b{row}@old.example.org\"}}",
                row % 250, row % 249, row % 9
            )
            .as_bytes(),
        );
        field(&meta);
        out.push(b'd');
        out.extend_from_slice(&u32::try_from(tuple.len() + 4).unwrap().to_be_bytes());
        out.extend_from_slice(&tuple);
    }
    out
}
