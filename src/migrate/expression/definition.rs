//! Definitions as the catalogs print them, over other columns and under other names.

use super::parse::{self, Parsed, SyntaxError, span};
use super::reference::{self, Edit, splice};
use crate::pg::Ident;
use pg_query::protobuf::{IndexStmt, Node as TreeNode, ScanToken, Token, node::Node};
use std::collections::BTreeMap;

/// What of an index does not depend on its name and its table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexBody {
    /// ` USING btree (lower(email) DESC) INCLUDE (id) WITH (fillfactor='70')`
    pub keys: String,
    /// ` WHERE (…)` or empty.
    pub predicate: String,
}

/// The body of `pg_get_indexdef` over renamed columns. Order, operator classes, collations,
/// INCLUDE, storage parameters and the predicate stay as they are.
///
/// # Errors
/// If the text is not what the catalogs print.
pub fn index_body(
    definition: &str,
    columns: &BTreeMap<String, String>,
) -> Result<IndexBody, SyntaxError> {
    let parsed = parse::statements(definition)?;
    let Some(statement) = index_statement(&parsed) else { return Err(unexpected(definition)) };
    let mut edits = reference::edits(&parsed, columns, 0);
    let mut groups = Groups::new(&parsed.tokens);
    let Some(keys) = groups.next() else { return Err(unexpected(definition)) };
    edits.extend(elements(&keys, &statement.index_params, columns));
    if !statement.index_including_params.is_empty() {
        let Some(included) = groups.next() else { return Err(unexpected(definition)) };
        edits.extend(elements(&included, &statement.index_including_params, columns));
    }
    let starts = |word: Token| {
        let mut depth = 0;
        let found = parsed.tokens.iter().find(|token| {
            depth += depth_change(token);
            depth == 0 && token.token == word as i32
        });
        found.map(|token| span(token).0)
    };
    let Some(from) = starts(Token::Using) else { return Err(unexpected(definition)) };
    let end = definition.len();
    let predicate = starts(Token::Where).unwrap_or(end);
    let part = |from: usize, to: usize| {
        let inside = edits.iter().filter(|(start, _, _)| (from..to).contains(start));
        let moved = inside.map(|(start, stop, new)| (start - from, stop - from, new.clone()));
        let text = splice(definition.get(from..to).unwrap_or_default(), moved.collect());
        let text = text.trim();
        if text.is_empty() { String::new() } else { format!(" {text}") }
    };
    Ok(IndexBody { keys: part(from, predicate), predicate: part(predicate, end) })
}

fn index_statement(parsed: &Parsed) -> Option<&IndexStmt> {
    let statement = parsed.result.stmts.first()?.stmt.as_ref()?.node.as_ref()?;
    if let Node::IndexStmt(index) = statement { Some(index) } else { None }
}

/// `pg_get_constraintdef` of a key, foreign key or exclusion constraint over renamed columns.
/// `referenced`: new names of the columns that a foreign key points to.
///
/// # Errors
/// If the text is not what the catalogs print.
pub fn key_constraint_on(
    definition: &str,
    columns: &BTreeMap<String, String>,
    referenced: &BTreeMap<String, String>,
) -> Result<String, SyntaxError> {
    let tokens = parse::tokens(definition)?;
    let first = tokens.first().map_or(0, |token| token.token);
    if first == Token::Exclude as i32 {
        return exclusion_on(definition, columns);
    }
    let mut edits = Vec::new();
    for group in Groups::new(&tokens) {
        // FOREIGN KEY (a) REFERENCES t(b) … ON DELETE SET NULL (a); UNIQUE (a) INCLUDE (b)
        let is_target = first == Token::Foreign as i32 && group.number == 1;
        let names = if is_target { referenced } else { columns };
        let is_storage = group.before == Some(Token::With as i32);
        if is_storage {
            continue;
        }
        for token in group.tokens {
            edits.extend(renamed(definition, token, names));
        }
    }
    Ok(splice(definition, edits))
}

fn exclusion_on(
    definition: &str,
    columns: &BTreeMap<String, String>,
) -> Result<String, SyntaxError> {
    const HEAD: &str = "ALTER TABLE t ADD CONSTRAINT c ";
    let sql = format!("{HEAD}{definition}");
    let parsed = parse::statements(&sql)?;
    let mut edits = reference::edits(&parsed, columns, HEAD.len());
    let tokens = parse::tokens(definition)?;
    let Some(keys) = Groups::new(&tokens).next() else { return Err(unexpected(definition)) };
    for element in keys.elements() {
        // A plain column is one word before an operator class, an order or WITH.
        let [word, next, ..] = element else { continue };
        let is_call = next.token == Token::Ascii40 as i32 || next.token == Token::Ascii46 as i32;
        if !is_call {
            edits.extend(renamed(definition, word, columns));
        }
    }
    edits.sort();
    edits.dedup();
    Ok(splice(definition, edits))
}

/// The first word of each element that is a plain column.
fn elements(
    group: &Group<'_>,
    nodes: &[TreeNode],
    columns: &BTreeMap<String, String>,
) -> Vec<Edit> {
    let mut edits = Vec::new();
    for (tokens, node) in group.elements().zip(nodes) {
        let Some(Node::IndexElem(element)) = node.node.as_ref() else { continue };
        let Some(new) = columns.get(&element.name).filter(|_| element.expr.is_none()) else {
            continue;
        };
        if let Some(token) = tokens.first() {
            let (from, to) = span(token);
            edits.push((from, to, Ident(new).to_string()));
        }
    }
    edits
}

fn renamed(text: &str, token: &ScanToken, names: &BTreeMap<String, String>) -> Option<Edit> {
    let (from, to) = span(token);
    let new = names.get(&unquoted(text.get(from..to)?))?;
    Some((from, to, Ident(new).to_string()))
}

/// The name that an identifier of canonical text stands for.
fn unquoted(word: &str) -> String {
    match word.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => word.to_owned(),
    }
}

/// A parenthesis of the outermost level.
struct Group<'a> {
    number: usize,
    /// The token before it.
    before: Option<i32>,
    tokens: &'a [ScanToken],
}

impl<'a> Group<'a> {
    /// Split at the commas of its own level.
    fn elements(&self) -> impl Iterator<Item = &'a [ScanToken]> + use<'a> {
        let mut depth = 0_i32;
        self.tokens.split(move |token| {
            depth += depth_change(token);
            depth == 0 && token.token == Token::Ascii44 as i32
        })
    }
}

fn depth_change(token: &ScanToken) -> i32 {
    if token.token == Token::Ascii40 as i32 {
        1
    } else if token.token == Token::Ascii41 as i32 {
        -1
    } else {
        0
    }
}

struct Groups<'a> {
    tokens: &'a [ScanToken],
    at: usize,
    number: usize,
}

impl<'a> Groups<'a> {
    fn new(tokens: &'a [ScanToken]) -> Self {
        Self { tokens, at: 0, number: 0 }
    }
}

impl<'a> Iterator for Groups<'a> {
    type Item = Group<'a>;

    fn next(&mut self) -> Option<Group<'a>> {
        let rest = self.tokens.get(self.at..)?;
        let open = self.at + rest.iter().position(|token| depth_change(token) == 1)?;
        let mut depth = 0;
        let mut close = open;
        for (index, token) in self.tokens.iter().enumerate().skip(open) {
            depth += depth_change(token);
            if depth == 0 {
                close = index;
                break;
            }
        }
        let before = open.checked_sub(1).and_then(|at| self.tokens.get(at));
        let group = Group {
            number: self.number,
            before: before.map(|token| token.token),
            tokens: self.tokens.get(open + 1..close)?,
        };
        self.at = close + 1;
        self.number += 1;
        Some(group)
    }
}

fn unexpected(definition: &str) -> SyntaxError {
    SyntaxError {
        message: "the catalogs print this definition in an unknown way".to_owned(),
        offset: definition.chars().count(),
    }
}
