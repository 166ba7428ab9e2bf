//! `create_index`: built concurrently at start.

use crate::document::{Node, Tree};
use crate::migrate::file::{Reader, Shape, record, words};

record! {
    pub struct CreateIndex {
        required "columns" => columns: Vec<IndexColumn>,
        "method" => method: Option<IndexMethod>,
        required "name" => name: String,
        "predicate" => predicate: Option<String>,
        /// What stands in the parentheses of `WITH`.
        "storage_parameters" => storage_parameters: Option<String>,
        required "table" => table: String,
        "unique" => is_unique: bool,
    }
}

record! {
    custom
    pub struct IndexColumn {
        required "column" => column: String,
        "collate" => collate: Option<String>,
        "nulls" => nulls: Option<IndexNulls>,
        "opclass" => operator_class: Option<OperatorClass>,
        "sort" => sort: Option<IndexSort>,
    }
}

record! {
    pub struct OperatorClass {
        "name" => name: Option<String>,
        /// `siglen=32`
        "params" => parameters: Vec<String>,
    }
}

words! {
    pub enum IndexMethod {
        "btree" => Btree,
        "hash" => Hash,
        "gist" => Gist,
        "spgist" => Spgist,
        "gin" => Gin,
        "brin" => Brin,
    }
}

words! {
    pub enum IndexSort {
        "ASC" => Ascending,
        "DESC" => Descending,
    }
}

words! {
    pub enum IndexNulls {
        "FIRST" => First,
        "LAST" => Last,
    }
}

impl Shape for IndexColumn {
    /// A bare name is how files were written before pgroll 0.10.
    fn read(node: Node, reader: &mut Reader<'_>) -> Self {
        let Tree::Text(column) = node.tree else { return Self::read_fields(node, reader) };
        reader.found_old_form(node.place, "each column is `{column: name}` now");
        Self { column, ..Self::default() }
    }

    /// A map of columns is how files were written between pgroll 0.10 and 0.13.
    fn read_list(node: Node, reader: &mut Reader<'_>) -> Vec<Self> {
        if !matches!(node.tree, Tree::Map(_)) {
            return reader.list(node);
        }
        reader.found_old_form(node.place, "columns are a list now, each `{column: name, …}`");
        let entries = reader.map(node);
        let read = |(key, node): (crate::document::Key, Node)| {
            let settings = if node.tree == Tree::Null {
                Self::default()
            } else {
                reader.within(&key.text, |reader| Self::read_fields(node, reader))
            };
            Self { column: key.text, ..settings }
        };
        entries.into_iter().map(read).collect()
    }

    fn is_absent(&self) -> bool {
        false
    }

    fn write(&self) -> serde_json::Value {
        self.write_fields()
    }
}
