//! Which columns an expression reads, and the same expression over other names.

use super::parse::{self, SyntaxError, span};
use crate::pg::Ident;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What an expression speaks of, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Names that stand for a column, or may (in a sub-query they may be of its own tables).
    pub columns: BTreeSet<String>,
    /// Unqualified and last words of the functions called.
    pub functions: BTreeSet<String>,
    /// Tables of sub-queries, by their last word.
    pub tables: BTreeSet<String>,
    /// It holds a query of its own.
    pub has_subquery: bool,
}

/// # Errors
/// If the text is not one expression.
pub fn facts(text: &str) -> Result<Facts, SyntaxError> {
    let parsed = parse::value(text)?;
    let mut facts = Facts::default();
    walk(&tree(&parsed.result), &mut |kind, body| match kind {
        "ColumnRef" => {
            if let [column] = words(body, "fields").as_slice() {
                facts.columns.insert(column.clone());
            } else if let [.., column] = words(body, "fields").as_slice() {
                facts.columns.insert(column.clone());
            }
        }
        "FuncCall" => facts.functions.extend(words(body, "funcname").pop()),
        "RangeVar" => {
            let name = body.get("relname").and_then(Value::as_str);
            facts.tables.extend(name.map(str::to_owned));
        }
        "SubLink" => facts.has_subquery = true,
        // Every other node matters only for what is below it.
        _ => (),
    });
    Ok(facts)
}

/// The expression with columns renamed, for an expression without sub-queries (CHECK, predicate,
/// index, generated column): there every unqualified name is a column of the table.
///
/// # Errors
/// If the text is not one expression.
pub fn rename_columns(text: &str, names: &BTreeMap<String, String>) -> Result<String, SyntaxError> {
    let parsed = parse::value(text)?;
    let shift = parse::value_shift(text);
    let edits = edits(&parsed, names, shift);
    Ok(splice(text, edits))
}

/// A byte range and what stands there instead.
pub(super) type Edit = (usize, usize, String);

/// The last word of each reference to a renamed column. `shift`: bytes of the parsed text before
/// the text that the edits are for.
pub(super) fn edits(
    parsed: &parse::Parsed,
    names: &BTreeMap<String, String>,
    shift: usize,
) -> Vec<Edit> {
    let mut edits = Vec::new();
    walk(&tree(&parsed.result), &mut |kind, body| {
        if kind != "ColumnRef" {
            return;
        }
        let fields = words(body, "fields");
        let Some(new) = fields.last().and_then(|name| names.get(name)) else { return };
        let Some(start) = location(body) else { return };
        // `t.a` is three tokens: the last one is the column.
        let last = fields.len().saturating_sub(1) * 2;
        let at = parsed.tokens.iter().position(|token| span(token).0 == start);
        let Some(token) = at.and_then(|at| parsed.tokens.get(at + last)) else { return };
        let (from, to) = span(token);
        if from >= shift {
            edits.push((from - shift, to - shift, Ident(new).to_string()));
        }
    });
    edits
}

pub(super) fn splice(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort();
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (from, to, new) in edits {
        out.push_str(text.get(done..from).unwrap_or_default());
        out.push_str(&new);
        done = to;
    }
    out.push_str(text.get(done..).unwrap_or_default());
    out
}

/// The tree as JSON: one walk for the several hundred kinds of node.
pub(super) fn tree(result: &pg_query::protobuf::ParseResult) -> Value {
    serde_json::to_value(result).unwrap_or(Value::Null)
}

/// Visits every node: its kind and its fields.
pub(super) fn walk(tree: &Value, visit: &mut impl FnMut(&str, &Value)) {
    match tree {
        Value::Array(items) => items.iter().for_each(|item| walk(item, visit)),
        Value::Object(fields) => {
            for (key, value) in fields {
                // Nodes are `{"node": {"ColumnRef": {…}}}`; typed fields (`RangeVar` of an
                // IndexStmt) come without, and hold nothing that is looked for here.
                if key == "node"
                    && let Some((kind, body)) = value.as_object().and_then(|one| one.iter().next())
                {
                    visit(kind, body);
                }
                walk(value, visit);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => (),
    }
}

/// The strings of a list of String nodes.
pub(super) fn words(body: &Value, field: &str) -> Vec<String> {
    let items = body.get(field).and_then(Value::as_array);
    let word =
        |item: &Value| item.pointer("/node/String/sval").and_then(Value::as_str).map(str::to_owned);
    items.map(|items| items.iter().filter_map(word).collect()).unwrap_or_default()
}

fn location(body: &Value) -> Option<usize> {
    body.get("location").and_then(Value::as_u64).and_then(|at| usize::try_from(at).ok())
}
