//! Parts of a parse tree as text, printed by the parser's own printer.

use super::script::Kept;
use pg_query::NodeEnum;
use pg_query::protobuf::{
    CreateStmt, IndexElem, IndexStmt, Node, RangeVar, ResTarget, SelectStmt, TypeCast, TypeName,
};

pub(super) fn node(node: NodeEnum) -> Node {
    Node { node: Some(node) }
}

fn print(statement: &NodeEnum) -> Result<String, Kept> {
    statement
        .deparse(pg_query::DeparseOptions::default())
        .map_err(|_| Kept::because("the parser cannot print a part of it"))
}

fn cut(text: &str, prefix: &str, suffix: &str) -> Result<String, Kept> {
    let inner = text.strip_prefix(prefix).and_then(|text| text.strip_suffix(suffix));
    inner
        .map(str::to_owned)
        .ok_or_else(|| Kept::because("the parser prints a part of it otherwise"))
}

/// An expression.
pub(super) fn expression(expression: &Node) -> Result<String, Kept> {
    let target = ResTarget { val: Some(Box::new(expression.clone())), ..ResTarget::default() };
    let select = SelectStmt {
        target_list: vec![node(NodeEnum::ResTarget(Box::new(target)))],
        limit_option: pg_query::protobuf::LimitOption::Default as i32,
        op: pg_query::protobuf::SetOperation::SetopNone as i32,
        ..SelectStmt::default()
    };
    cut(&print(&NodeEnum::SelectStmt(Box::new(select)))?, "SELECT ", "")
}

/// A type: `varchar(255)`, `my_enum[]`.
pub(super) fn type_name(name: &TypeName) -> Result<String, Kept> {
    // A cast of a constant is printed in ways of its own: `char 'x'`.
    let cast =
        TypeCast { arg: Some(Box::new(column("x"))), type_name: Some(name.clone()), location: -1 };
    let text = expression(&node(NodeEnum::TypeCast(Box::new(cast))))?;
    let text = cut(&text, "x::", "")?;
    // Printed without its length, which here means any, it would mean one.
    let is_any_length =
        name.typmods.is_empty() && words(&name.names).ends_with(&["bpchar".to_owned()]);
    match text.strip_prefix("char") {
        Some(rest) if is_any_length => Ok(format!("bpchar{rest}")),
        _ => Ok(text),
    }
}

/// An element of an index or of an exclusion constraint.
pub(super) fn index_element(element: &IndexElem) -> Result<String, Kept> {
    let statement = IndexStmt {
        relation: Some(relation("t")),
        access_method: "btree".to_owned(),
        index_params: vec![node(NodeEnum::IndexElem(Box::new(element.clone())))],
        ..IndexStmt::default()
    };
    let text = print(&NodeEnum::IndexStmt(Box::new(statement)))?;
    let from = text.find('(').unwrap_or(text.len());
    cut(text.get(from..).unwrap_or_default(), "(", ")")
}

/// What stands in the parentheses of WITH; `None` if there are none.
pub(super) fn storage_parameters(options: &[Node]) -> Result<Option<String>, Kept> {
    if options.is_empty() {
        return Ok(None);
    }
    let statement =
        CreateStmt { relation: Some(relation("t")), options: options.to_vec(), ..create() };
    let text = print(&NodeEnum::CreateStmt(statement))?;
    let from = text.find("WITH (").unwrap_or(text.len());
    cut(text.get(from..).unwrap_or_default(), "WITH (", ")").map(Some)
}

/// The options of an identity column's sequence; `None` if there are none.
pub(super) fn sequence_options(options: &[Node]) -> Result<Option<String>, Kept> {
    if options.is_empty() {
        return Ok(None);
    }
    let statement = pg_query::protobuf::CreateSeqStmt {
        sequence: Some(relation("t")),
        options: options.to_vec(),
        ..Default::default()
    };
    cut(&print(&NodeEnum::CreateSeqStmt(statement))?, "CREATE SEQUENCE t ", "").map(Some)
}

fn relation(name: &str) -> RangeVar {
    RangeVar {
        relname: name.to_owned(),
        inh: true,
        relpersistence: "p".to_owned(),
        ..RangeVar::default()
    }
}

fn create() -> CreateStmt {
    CreateStmt {
        oncommit: pg_query::protobuf::OnCommitAction::OncommitNoop as i32,
        ..CreateStmt::default()
    }
}

/// The strings of a list of names.
pub(super) fn words(nodes: &[Node]) -> Vec<String> {
    let word = |node: &Node| {
        let Some(NodeEnum::String(word)) = &node.node else { return None };
        Some(word.sval.clone())
    };
    nodes.iter().filter_map(word).collect()
}

/// A possibly qualified name as files have it: one word as it is, several as in SQL.
pub(super) fn dotted(nodes: &[Node]) -> Option<String> {
    match words(nodes).as_slice() {
        [] => None,
        [word] => Some(word.clone()),
        words => Some(words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(".")),
    }
}

/// A name as the printer writes it: in quotes only where it needs them.
pub(super) fn quoted(name: &str) -> String {
    expression(&column(name)).unwrap_or_else(|_| crate::pg::Ident(name).to_string())
}

fn column(name: &str) -> Node {
    let fields = vec![word(name)];
    node(NodeEnum::ColumnRef(pg_query::protobuf::ColumnRef { fields, location: -1 }))
}

/// A name in a list of names.
pub(super) fn word(name: &str) -> Node {
    node(NodeEnum::String(pg_query::protobuf::String { sval: name.to_owned() }))
}
