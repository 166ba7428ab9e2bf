//! The stage's promises, as tests.

mod paths;
mod tuple;

use super::{ColumnMask, TableMask, Treatment};
use crate::pg::Kind;
use crate::pg::pgoutput::Datum;
use crate::transform::key::RootKey;
use crate::transform::op::Op;
use crate::transform::{Rule, Shape, Transform};

fn mask(position: usize, kind: Kind, transform: Transform) -> ColumnMask {
    let shape = Shape { kind: kind.clone(), max_chars: None, unique: false };
    let op = Op::build(&Rule::plain(transform), &shape, &root()).unwrap();
    let treatment = Treatment::Transform(Box::new(op));
    ColumnMask { position, name: format!("c{position}"), kind, treatment, subject: Vec::new() }
}

fn rules(masks: Vec<ColumnMask>) -> std::sync::Arc<TableMask> {
    std::sync::Arc::new(TableMask::new(masks))
}

fn root() -> RootKey {
    RootKey::new(std::array::from_fn(|index| u8::try_from(index + 1).unwrap()))
}

/// A tuple as the server sends it.
fn wire(columns: &[Datum<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for column in columns {
        let (kind, value) = match column {
            Datum::Null => (b'n', None),
            Datum::Unchanged => (b'u', None),
            Datum::Text(value) => (b't', Some(value)),
            Datum::Binary(value) => (b'b', Some(value)),
        };
        out.push(kind);
        if let Some(value) = value {
            out.extend_from_slice(&u32::try_from(value.len()).unwrap().to_be_bytes());
            out.extend_from_slice(value);
        }
    }
    out
}
