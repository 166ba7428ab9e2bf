//! `CREATE INDEX`.

use super::name::object_name;
use super::script::{Kept, Script};
use super::text;
use crate::migrate::operation::{
    CreateIndex, IndexColumn, IndexMethod, IndexNulls, IndexSort, OperatorClass,
};
use pg_query::NodeEnum;
use pg_query::protobuf::{IndexElem, IndexStmt, Node, SortByDir, SortByNulls};

pub(super) fn convert(script: &mut Script<'_>, built: &IndexStmt) -> Result<(), Kept> {
    let refused = [
        (!built.index_including_params.is_empty(), "an index's `INCLUDE` has no field"),
        (!built.table_space.is_empty(), "an index's tablespace has no field"),
        (built.nulls_not_distinct, "`NULLS NOT DISTINCT` of an index has no field"),
        (built.relation.as_ref().is_some_and(|of| !of.inh), "`ONLY` has no field"),
    ];
    if let Some((_, reason)) = refused.iter().find(|(is_so, _)| *is_so) {
        return Err(Kept::because(*reason));
    }
    let table = script.table_name(built.relation.as_ref())?;
    let columns = built.index_params.iter().map(column).collect::<Result<Vec<_>, _>>()?;
    let name = if built.idxname.is_empty() {
        let names: Vec<_> = columns.iter().map(|column| column.column.clone()).collect();
        object_name(&table, &names, "idx", |name| script.is_index_name(name))
    } else {
        built.idxname.clone()
    };
    let predicate = built.where_clause.as_ref().map(|of| text::expression(of)).transpose()?;
    let index = CreateIndex {
        columns,
        method: method(&built.access_method)?,
        name,
        predicate,
        storage_parameters: text::storage_parameters(&built.options)?,
        table,
        is_unique: built.unique,
    };
    if built.if_not_exists {
        script.remark("`IF NOT EXISTS` is left out", "the migration is refused if it exists");
    }
    script.push(index);
    Ok(())
}

/// `btree` is what the parser writes where nothing is given.
fn method(name: &str) -> Result<Option<IndexMethod>, Kept> {
    let method = match name {
        "btree" => None,
        "hash" => Some(IndexMethod::Hash),
        "gist" => Some(IndexMethod::Gist),
        "spgist" => Some(IndexMethod::Spgist),
        "gin" => Some(IndexMethod::Gin),
        "brin" => Some(IndexMethod::Brin),
        other => return Err(Kept::because(format!("index method `{other}` has no word"))),
    };
    Ok(method)
}

fn column(node: &Node) -> Result<IndexColumn, Kept> {
    let Some(NodeEnum::IndexElem(element)) = &node.node else {
        return Err(Kept::because("an index of something else than columns"));
    };
    if element.expr.is_some() {
        return Err(Kept::because("an index of expressions has no field"));
    }
    let sort = match SortByDir::try_from(element.ordering) {
        Ok(SortByDir::SortbyAsc) => Some(IndexSort::Ascending),
        Ok(SortByDir::SortbyDesc) => Some(IndexSort::Descending),
        _ => None,
    };
    let nulls = match SortByNulls::try_from(element.nulls_ordering) {
        Ok(SortByNulls::SortbyNullsFirst) => Some(IndexNulls::First),
        Ok(SortByNulls::SortbyNullsLast) => Some(IndexNulls::Last),
        _ => None,
    };
    Ok(IndexColumn {
        column: element.name.clone(),
        collate: text::dotted(&element.collation),
        nulls,
        operator_class: operator_class(element)?,
        sort,
    })
}

fn operator_class(element: &IndexElem) -> Result<Option<OperatorClass>, Kept> {
    let name = text::dotted(&element.opclass);
    if name.is_none() {
        return Ok(None);
    }
    let mut parameters = Vec::new();
    for option in &element.opclassopts {
        let option = text::storage_parameters(std::slice::from_ref(option))?;
        parameters.extend(option);
    }
    Ok(Some(OperatorClass { name, parameters }))
}
