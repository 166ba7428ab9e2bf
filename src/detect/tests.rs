use crate::catalog::*;
use crate::pg::{Kind, Oid};

pub(crate) fn column(name: &str, kind: Kind) -> Column {
    Column {
        name: name.into(),
        number: 1,
        type_oid: Oid(25),
        type_name: format!("{kind:?}").to_lowercase(),
        kind,
        max_chars: None,
        not_null: false,
        generated: Generated::No,
        identity: false,
        has_binary: true,
        enum_labels: vec![],
        comment: None,
    }
}

pub(crate) fn table(name: &str, columns: Vec<Column>) -> Table {
    let (schema, name) = name.split_once('.').unwrap();
    Table {
        oid: Oid(1),
        name: RelationName::new(schema, name),
        kind: RelationKind::Table,
        columns,
        primary_key: vec![],
        indexes: vec![],
        partitioning: Partitioning::default(),
        size_bytes: 0,
        row_estimate: None,
        is_heap: true,
        row_security: false,
        comment: None,
    }
}
