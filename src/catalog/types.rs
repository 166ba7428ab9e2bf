//! Types: from `pg_type` rows to kinds.

use crate::pg::{Kind, Oid};
use std::collections::HashMap;

/// Domains over domains, arrays of composites of arrays: deeper than this is treated as opaque.
const DEPTH_LIMIT: u32 = 16;
/// `VARHDRSZ`: what atttypmod of varchar(n) and char(n) adds to n (varchar.c).
const MODIFIER_OFFSET: i32 = 4;

/// Types of `pg_type.dat` whose binary form does not carry the value to another database.
const TEXT_ONLY: &[u32] = &[
    // regproc, regprocedure, regoper, regoperator, regclass, regtype, regconfig, regdictionary,
    // regnamespace, regrole, regcollation: the oid of an object that has another oid there. In
    // text they are names.
    24, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191,
    // tsquery: `tsqueryrecv` refuses the empty query that `tsquerysend` sends (tsquery.c).
    3615,
];
/// int4, int8, float4, float8, date, time, timestamp, timestamptz, interval, timetz, numeric, int2.
const ORDERED: [u32; 12] = [23, 20, 700, 701, 1082, 1083, 1114, 1184, 1186, 1266, 1700, 21];

pub(super) struct TypeRow {
    pub(super) name: String,
    pub(super) type_type: String,
    pub(super) element: Oid,
    pub(super) base: Oid,
    pub(super) type_modifier: i32,
    pub(super) has_binary: bool,
    pub(super) is_array: bool,
    pub(super) range_subtype: Oid,
    pub(super) fields: Vec<Oid>,
    pub(super) labels: Vec<String>,
}

#[derive(Default)]
pub(super) struct Types(pub(super) HashMap<Oid, TypeRow>);

impl Types {
    pub(super) fn kind(&self, oid: Oid) -> Kind {
        self.kind_at(oid, 0)
    }

    fn kind_at(&self, oid: Oid, depth: u32) -> Kind {
        if let Some(kind) = builtin(oid) {
            return kind;
        }
        let Some(row) = self.0.get(&oid).filter(|_| depth < DEPTH_LIMIT) else {
            return Kind::Opaque;
        };
        if row.is_array {
            return Kind::Array(Box::new(self.kind_at(row.element, depth + 1)));
        }
        match (row.type_type.as_str(), row.name.as_str()) {
            ("d", _) => self.kind_at(row.base, depth + 1),
            ("e", _) => Kind::Enum,
            ("c", _) => Kind::Composite,
            // A range of anything else can hold text.
            ("r" | "m", _) if ORDERED.contains(&row.range_subtype.0) => Kind::Range,
            ("b", "citext") => Kind::Citext,
            ("b", "hstore") => Kind::Hstore,
            _ => Kind::Opaque,
        }
    }

    /// True if the type and all that it is made of arrive in binary as they left.
    pub(super) fn has_binary(&self, oid: Oid) -> bool {
        self.has_binary_at(oid, 0)
    }

    fn has_binary_at(&self, oid: Oid, depth: u32) -> bool {
        if TEXT_ONLY.contains(&oid.0) {
            return false;
        }
        let Some(row) = self.0.get(&oid).filter(|_| depth < DEPTH_LIMIT) else { return false };
        let part = |oid: &Oid| *oid == Oid(0) || self.has_binary_at(*oid, depth + 1);
        let element = if row.is_array { row.element } else { Oid(0) };
        row.has_binary
            && part(&element)
            && part(&row.base)
            && part(&row.range_subtype)
            && row.fields.iter().all(part)
    }

    /// Longest text in characters, of the column's own modifier or its domain's.
    pub(super) fn max_chars(&self, oid: Oid, modifier: i32) -> Option<u32> {
        let (mut oid, mut modifier) = (oid, modifier);
        for _ in 0..DEPTH_LIMIT {
            let row = self.0.get(&oid)?;
            if modifier < MODIFIER_OFFSET && row.type_type == "d" {
                (oid, modifier) = (row.base, row.type_modifier);
                continue;
            }
            let is_text = matches!(self.kind(oid).element(), Kind::Text | Kind::Bpchar);
            return u32::try_from(modifier - MODIFIER_OFFSET)
                .ok()
                .filter(|_| is_text && modifier >= MODIFIER_OFFSET);
        }
        None
    }

    /// Labels of an enum, or of the enum that a domain or an array is made of.
    pub(super) fn labels(&self, oid: Oid) -> Vec<String> {
        let mut oid = oid;
        for _ in 0..DEPTH_LIMIT {
            let Some(row) = self.0.get(&oid) else { break };
            if !row.labels.is_empty() {
                return row.labels.clone();
            }
            oid = if row.type_type == "d" { row.base } else { row.element };
        }
        Vec::new()
    }
}

/// Types of `pg_type.dat` that have a codec.
fn builtin(oid: Oid) -> Option<Kind> {
    Some(match oid.0 {
        16 => Kind::Bool,
        17 => Kind::Bytea,
        20 => Kind::Int8,
        21 => Kind::Int2,
        23 => Kind::Int4,
        // text, varchar, name
        25 | 1043 | 19 => Kind::Text,
        114 => Kind::Json,
        142 => Kind::Xml,
        650 => Kind::Cidr,
        700 => Kind::Float4,
        701 => Kind::Float8,
        774 => Kind::Macaddr8,
        829 => Kind::Macaddr,
        869 => Kind::Inet,
        1042 => Kind::Bpchar,
        1082 => Kind::Date,
        1114 => Kind::Timestamp,
        1184 => Kind::Timestamptz,
        1700 => Kind::Numeric,
        2950 => Kind::Uuid,
        3614 => Kind::Tsvector,
        3802 => Kind::Jsonb,
        _ => return None,
    })
}
