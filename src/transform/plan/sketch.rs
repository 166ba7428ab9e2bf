//! Catalogs for tests, from a few words per table:
//! `public.users: id int8 pk, email varchar(40) unique notnull, total numeric generated`.

use crate::catalog::{
    Catalog, Column, ForeignKey, Generated, Index, Partitioning, RelationKind, RelationName, Table,
};
use crate::pg::{Kind, Oid};
use crate::transform::spec::parse_relation_name;

pub(crate) fn catalog(tables: &[&str]) -> Catalog {
    let mut catalog =
        Catalog { tables: tables.iter().map(|text| table(text)).collect(), ..Catalog::default() };
    catalog.tables.sort_by(|left, right| left.name.cmp(&right.name));
    catalog
}

/// `public.orders(user_id) -> public.users(id)`.
pub(crate) fn foreign_key(catalog: &mut Catalog, text: &str) {
    let (from, to) = text.split_once(" -> ").unwrap();
    let end = |text: &str| {
        let (name, columns) = text.trim_end_matches(')').split_once('(').unwrap();
        let columns: Vec<String> = columns.split(", ").map(str::to_owned).collect();
        (parse_relation_name(name).unwrap(), columns)
    };
    let ((from, from_columns), (to, to_columns)) = (end(from), end(to));
    catalog.foreign_keys.push(ForeignKey {
        oid: Oid(1),
        name: format!("{}_fkey", from.name),
        from,
        from_columns,
        to,
        to_columns,
        is_valid: true,
    });
}

/// Makes `leaf` a partition of `root`.
pub(crate) fn partition(catalog: &mut Catalog, leaf: &str, root: &str) {
    let (leaf, root) = (parse_relation_name(leaf).unwrap(), parse_relation_name(root).unwrap());
    for table in &mut catalog.tables {
        if table.name == leaf {
            table.partitioning = Partitioning {
                parents: vec![root.clone()],
                is_partition: true,
                key_columns: vec![],
                hashes_oids: false,
            };
        } else if table.name == root {
            table.kind = RelationKind::Partitioned;
        }
    }
}

fn table(text: &str) -> Table {
    let (name, columns) = text.split_once(": ").unwrap();
    let mut table = Table {
        oid: Oid(1),
        name: parse_relation_name(name).unwrap(),
        kind: RelationKind::Table,
        columns: Vec::new(),
        primary_key: Vec::new(),
        indexes: Vec::new(),
        partitioning: Partitioning::default(),
        size_bytes: 0,
        row_estimate: None,
        is_heap: true,
        is_readable: true,
        row_security: false,
        comment: None,
    };
    for text in columns.split(", ") {
        let mut words = text.split(' ');
        let (column_name, type_name) = (words.next().unwrap(), words.next().unwrap());
        let mut column = column(column_name, type_name);
        for word in words {
            match word {
                "pk" => {
                    table.primary_key.push(column_name.to_owned());
                    column.not_null = true;
                }
                "unique" => table.indexes.push(Index {
                    name: format!("{column_name}_key"),
                    is_unique: true,
                    key_columns: vec![column_name.to_owned()],
                    has_expressions: false,
                    is_partial: false,
                }),
                "notnull" => column.not_null = true,
                "generated" => column.generated = Generated::Stored,
                other => panic!("{other}"),
            }
        }
        table.columns.push(column);
    }
    table
}

pub(crate) fn column(name: &str, type_name: &str) -> Column {
    let bare = type_name.trim_end_matches("[]");
    let (word, max_chars) = match bare.split_once('(') {
        Some((word, rest)) => (word, rest.trim_end_matches(')').parse().ok()),
        None => (bare, None),
    };
    let mut kind = kind(word);
    if type_name.ends_with("[]") {
        kind = Kind::Array(Box::new(kind));
    }
    let enum_labels =
        if word == "enum" { vec!["on".to_owned(), "off".to_owned()] } else { Vec::new() };
    Column {
        name: name.to_owned(),
        number: 1,
        type_oid: Oid(25),
        type_name: type_name.to_owned(),
        kind,
        max_chars,
        not_null: false,
        generated: Generated::No,
        identity: false,
        has_binary: true,
        enum_labels,
        comment: None,
    }
}

pub(crate) fn kind(name: &str) -> Kind {
    match name {
        "bool" => Kind::Bool,
        "int2" => Kind::Int2,
        "int4" => Kind::Int4,
        "int8" => Kind::Int8,
        "float4" => Kind::Float4,
        "float8" => Kind::Float8,
        "numeric" => Kind::Numeric,
        "text" | "varchar" => Kind::Text,
        "bpchar" => Kind::Bpchar,
        "citext" => Kind::Citext,
        "bytea" => Kind::Bytea,
        "uuid" => Kind::Uuid,
        "date" => Kind::Date,
        "timestamp" => Kind::Timestamp,
        "timestamptz" => Kind::Timestamptz,
        "inet" => Kind::Inet,
        "cidr" => Kind::Cidr,
        "macaddr" => Kind::Macaddr,
        "json" => Kind::Json,
        "jsonb" => Kind::Jsonb,
        "xml" => Kind::Xml,
        "hstore" => Kind::Hstore,
        "tsvector" => Kind::Tsvector,
        "enum" => Kind::Enum,
        "composite" => Kind::Composite,
        "range" => Kind::Range,
        _ => Kind::Opaque,
    }
}

pub(crate) fn name(text: &str) -> RelationName {
    parse_relation_name(text).unwrap()
}
