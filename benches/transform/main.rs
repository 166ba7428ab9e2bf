//! ns per value of the transforms that are met most, on one core: `cargo bench --bench transform`.
//! Each line is the best of several runs: what the code costs, not what the machine was doing.

#![expect(clippy::print_stdout, reason = "the report")]
#![expect(clippy::indexing_slicing, clippy::cast_precision_loss, reason = "as above")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run stops")]

mod stage;

use backlot::pg::Kind;
use backlot::transform::key::RootKey;
use backlot::transform::op::Op;
use backlot::transform::{Rule, Shape, Transform, UnknownPath, Value};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Distinct inputs: enough to defeat the branch predictor, few enough to stay in cache.
const INPUTS: usize = 4_096;
const ROUNDS: usize = 25;
const RUNS: usize = 7;

const DOCUMENT: &str = r#"{"id": 12345, "email": "alice.smith@gmail.com", "tags": ["a", "b"], "address": {"city": "Berlin", "zip": "10115"}, "contacts": [{"phone": "415-867-5309", "kind": "home"}], "active": true, "score": 1.5e3}"#;

fn main() {
    let root = RootKey::parse(&"0123456789abcdef".repeat(4)).unwrap();
    let emails: Vec<String> =
        (0..INPUTS).map(|index| format!("alice.smith{index}@gmail.com")).collect();
    let names: Vec<String> = (0..INPUTS).map(|index| format!("Alice{index}")).collect();
    let sentences: Vec<String> = (0..INPUTS)
        .map(|index| format!("Called Alice Smith about order no {index:05}; she was pleased!"))
        .collect();
    let phones: Vec<String> = (0..INPUTS).map(|index| format!("(415) 867-{index:04}")).collect();
    let documents: Vec<String> =
        (0..INPUTS).map(|index| DOCUMENT.replace("12345", &index.to_string())).collect();

    let key = root.domain("email");
    report("prf (20 bytes)", |index| {
        let text = emails.get(index).map(|email| email.as_bytes().split_at(20).0);
        black_box(key.prf(1, text.unwrap_or_default()));
    });
    let mut out = Vec::with_capacity(4_096);
    let mut texts = |name: &str, transform: Transform, kind: Kind, values: &[String]| {
        let op = op(transform, kind.clone(), &root);
        report(name, |index| {
            let text = values.get(index).map(String::as_str).unwrap_or_default();
            let value = if kind == Kind::Jsonb { Value::Json(text) } else { Value::Text(text) };
            out.clear();
            black_box(op.apply(value, None, &mut out).unwrap());
        });
    };
    texts("email", Transform::Email, Kind::Text, &emails);
    texts("username", Transform::Username, Kind::Text, &emails);
    texts("first_name", Transform::FirstName, Kind::Text, &names);
    texts("full_name", Transform::FullName, Kind::Text, &names);
    texts("phone", Transform::Phone, Kind::Text, &phones);
    texts("digits (10)", Transform::Digits, Kind::Text, &phones);
    texts("alnum (60 chars)", Transform::Alnum, Kind::Text, &sentences);
    texts("text_fill (60 chars)", Transform::TextFill, Kind::Text, &sentences);
    let paths = [("$.email", Transform::Email), ("$.contacts[*].phone", Transform::Phone)]
        .map(|(path, transform)| (path.to_owned(), Rule::plain(transform)));
    for unknown in [UnknownPath::Keep, UnknownPath::Fill] {
        let json = Transform::Json { paths: paths.clone().into(), unknown };
        texts(&format!("json (200 bytes, {unknown:?})"), json, Kind::Jsonb, &documents);
    }
    scalars(&root);
    stage::measure(&root);
}

fn scalars(root: &RootKey) {
    let mut out = Vec::new();
    let integer = op(Transform::Integer, Kind::Int4, root);
    report("integer", |index| {
        let value = i64::try_from(index).unwrap() * 97_003;
        black_box(integer.apply(Value::Int(value), None, &mut out).unwrap());
    });
    let uuid = op(Transform::Uuid, Kind::Uuid, root);
    report("uuid", |index| {
        let value = (index as u128 * 0x9e37_79b9_7f4a_7c15) | (4 << 76) | (2 << 62);
        black_box(uuid.apply(Value::Uuid(value.to_be_bytes()), None, &mut out).unwrap());
    });
    let shift = op(Transform::DateShift { max_days: 365, subject: None }, Kind::Timestamp, root);
    report("date_shift", |index| {
        let value = i64::try_from(index).unwrap() * 86_400_000_000;
        let subject = index.to_be_bytes();
        black_box(shift.apply(Value::Timestamp(value), Some(&subject), &mut out).unwrap());
    });
}

fn op(transform: Transform, kind: Kind, root: &RootKey) -> Op {
    let shape = Shape { kind, max_chars: None, unique: false };
    Op::build(&Rule::plain(transform), &shape, root).unwrap()
}

fn report(name: &str, mut work: impl FnMut(usize)) {
    let mut best = Duration::MAX;
    for _ in 0..RUNS {
        let start = Instant::now();
        for _ in 0..ROUNDS {
            (0..INPUTS).for_each(&mut work);
        }
        best = best.min(start.elapsed());
    }
    let nanoseconds = best.as_nanos() / (INPUTS * ROUNDS) as u128;
    println!("{name:28} {nanoseconds:6} ns");
}
