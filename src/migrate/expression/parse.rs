//! The parser, and where in the text it stopped.

use pg_query::protobuf::{ParseResult, ScanToken, Token, node::Node};
use pg_query::{Error, ParserOptions};
use serde_json::Value;

/// Text that PostgreSQL cannot parse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    /// The parser's words: `syntax error at or near "FROM"`.
    pub message: String,
    /// Characters before the place.
    pub offset: usize,
}

pub(super) struct Parsed {
    pub(super) result: ParseResult,
    pub(super) tokens: Vec<ScanToken>,
}

/// Parses one or more statements.
pub(super) fn statements(sql: &str) -> Result<Parsed, SyntaxError> {
    let result = parse(sql)?;
    Ok(Parsed { result, tokens: tokens(sql)? })
}

/// Parses one or more statements.
pub(in crate::migrate) fn parse(sql: &str) -> Result<ParseResult, SyntaxError> {
    match pg_query::parse(sql, ParserOptions::DEFAULT) {
        Ok(parsed) => Ok(parsed.protobuf),
        Err(error) => {
            let message = words(&error);
            let offset = place(sql, &message);
            Err(SyntaxError { message, offset })
        }
    }
}

/// Words and signs, without comments.
pub(super) fn tokens(sql: &str) -> Result<Vec<ScanToken>, SyntaxError> {
    let scanned = pg_query::scan(sql)
        .map_err(|error| SyntaxError { message: words(&error), offset: sql.chars().count() })?;
    let is_code = |token: &ScanToken| {
        token.token != Token::SqlComment as i32 && token.token != Token::CComment as i32
    };
    Ok(scanned.tokens.into_iter().filter(is_code).collect())
}

fn words(error: &Error) -> String {
    match error {
        Error::Parse(message) | Error::Scan(message) => message.clone(),
        Error::Conversion(_) => "the text holds a zero byte".to_owned(),
        // The remaining ones speak of the library's own formats.
        Error::Decode(_)
        | Error::InvalidJson(_)
        | Error::InvalidPointer
        | Error::IsUtility(_)
        | Error::Split(_) => error.to_string(),
    }
}

/// The parser names the word at which it stopped, but not the place. It is the first such word
/// after which the text, cut off there, is refused in the same words.
fn place(sql: &str, message: &str) -> usize {
    let end = sql.trim_end().chars().count();
    let Some((_, quoted)) = message.split_once("at or near \"") else { return end };
    let near = quoted.strip_suffix('"').unwrap_or(quoted);
    let Ok(tokens) = tokens(sql) else {
        // An unterminated string or comment: `near` is all of it.
        return sql.find(near).map_or(end, |at| chars_before(sql, at));
    };
    for token in tokens {
        let (start, stop) = span(&token);
        if sql.get(start..stop) != Some(near) {
            continue;
        }
        let head = sql.get(..stop).unwrap_or(sql);
        let is_here = match pg_query::parse(head, ParserOptions::DEFAULT) {
            Err(error) => words(&error) == message,
            Ok(_) => false,
        };
        if is_here {
            return chars_before(sql, start);
        }
    }
    end
}

pub(super) fn chars_before(text: &str, byte: usize) -> usize {
    text.get(..byte).map_or(0, |head| head.chars().count())
}

/// Byte range of a token.
pub(super) fn span(token: &ScanToken) -> (usize, usize) {
    (usize::try_from(token.start).unwrap_or(0), usize::try_from(token.end).unwrap_or(0))
}

const SELECT: &str = "SELECT ";

/// An expression or a query that gives one value, parsed as the value of a SELECT.
pub(super) fn value(text: &str) -> Result<Parsed, SyntaxError> {
    let sql = format!("{SELECT}{}", as_value(text));
    let shift = sql.chars().count() - text.chars().count() - usize::from(is_wrapped(text));
    let parsed = statements(&sql).map_err(|error| SyntaxError {
        // Offsets are of the user's text, and within it.
        offset: error.offset.saturating_sub(shift).min(text.chars().count()),
        message: error.message,
    })?;
    if is_single_value(&parsed.result) {
        return Ok(parsed);
    }
    Err(SyntaxError { message: "expected one expression".to_owned(), offset: text.chars().count() })
}

/// Bytes before the text in what [`value`] parses.
pub(super) fn value_shift(text: &str) -> usize {
    SELECT.len() + usize::from(is_wrapped(text))
}

/// A query stands in parentheses to be an expression: `SELECT max(id) FROM t` is accepted bare.
pub fn as_value(text: &str) -> String {
    if is_wrapped(text) { format!("({text})") } else { text.to_owned() }
}

fn is_wrapped(text: &str) -> bool {
    let first = text.trim_start().get(..6).unwrap_or_default();
    first.eq_ignore_ascii_case("select")
        || text.trim_start().get(..4).is_some_and(|word| word.eq_ignore_ascii_case("with"))
}

fn is_single_value(result: &ParseResult) -> bool {
    let [statement] = result.stmts.as_slice() else { return false };
    let Some(Node::SelectStmt(select)) = statement.stmt.as_ref().and_then(|one| one.node.as_ref())
    else {
        return false;
    };
    // `a, b`, `a FROM t`, `a AS b`, `a ORDER BY b` are more than an expression.
    let is_plain = select.from_clause.is_empty()
        && select.where_clause.is_none()
        && select.group_clause.is_empty()
        && select.sort_clause.is_empty()
        && select.limit_count.is_none()
        && select.limit_offset.is_none()
        && select.locking_clause.is_empty()
        && select.larg.is_none()
        && select.into_clause.is_none()
        && select.having_clause.is_none()
        && select.distinct_clause.is_empty()
        && select.window_clause.is_empty();
    let [target] = select.target_list.as_slice() else { return false };
    let Some(Node::ResTarget(target)) = target.node.as_ref() else { return false };
    is_plain && target.name.is_empty() && target.val.is_some()
}

/// # Errors
/// If the text is not one expression.
pub fn check_expression(text: &str) -> Result<(), SyntaxError> {
    value(text).map(|_| ())
}

/// True if every value that the expression can give is a string constant or NULL, so that its
/// type is the context's to say: `'open'`, `CASE WHEN paid THEN 'paid' ELSE 'open' END`.
///
/// # Errors
/// If the text is not one expression.
pub fn is_literal(text: &str) -> Result<bool, SyntaxError> {
    let parsed = value(text)?;
    let tree = serde_json::to_value(&parsed.result).unwrap_or(Value::Null);
    let target = tree.pointer("/stmts/0/stmt/node/SelectStmt/target_list/0/node/ResTarget/val");
    Ok(target.is_some_and(is_literal_node))
}

fn is_literal_node(tree: &Value) -> bool {
    let Some(node) = tree.get("node").and_then(Value::as_object) else { return false };
    let Some((kind, body)) = node.iter().next() else { return false };
    let all = |list: &str| {
        let items = body.get(list).and_then(Value::as_array);
        items.is_some_and(|items| items.iter().all(is_literal_node))
    };
    match kind.as_str() {
        "AConst" => {
            let is_null = body.get("isnull").and_then(Value::as_bool) == Some(true);
            is_null || body.pointer("/val/Sval").is_some()
        }
        "CaseExpr" => {
            all("args") && body.get("defresult").is_none_or(|e| e.is_null() || is_literal_node(e))
        }
        "CaseWhen" => body.get("result").is_some_and(is_literal_node),
        "CoalesceExpr" => all("args"),
        // Everything else has a type of its own.
        _ => false,
    }
}

/// # Errors
/// If the text is not the name of a type.
pub fn check_type(text: &str) -> Result<(), SyntaxError> {
    type_name(text).map(|_| ())
}

fn type_name(text: &str) -> Result<ParseResult, SyntaxError> {
    let sql = format!("SELECT NULL::{text}");
    let shift = sql.chars().count() - text.chars().count();
    let refused = |offset: usize, message: String| SyntaxError {
        offset: offset.saturating_sub(shift).min(text.chars().count()),
        message,
    };
    let result = parse(&sql).map_err(|error| refused(error.offset, error.message))?;
    let tree = serde_json::to_value(&result).unwrap_or(Value::Null);
    let cast = "/stmts/0/stmt/node/SelectStmt/target_list/0/node/ResTarget/val/node/TypeCast";
    if is_single_value(&result) && tree.pointer(cast).is_some() {
        return Ok(result);
    }
    Err(refused(sql.chars().count(), "expected the name of a type".to_owned()))
}

/// The type without its modifier: `varchar(20)` is `varchar`, of which a cast cuts nothing off.
/// Serial types are the integers that they stand for.
///
/// # Errors
/// If the text is not the name of a type.
pub fn base_type(text: &str) -> Result<String, SyntaxError> {
    let mut result = type_name(text)?;
    let mut plain = None;
    if let Some(name) = cast_of(&mut result).and_then(|cast| cast.type_name.as_mut()) {
        name.typmods.clear();
        let brackets = "[]".repeat(name.array_bounds.len());
        let last = name.names.last_mut().and_then(|node| node.node.as_mut());
        if let Some(Node::String(word)) = last {
            match word.sval.as_str() {
                "serial" | "serial4" => "int4".clone_into(&mut word.sval),
                "bigserial" | "serial8" => "int8".clone_into(&mut word.sval),
                "smallserial" | "serial2" => "int2".clone_into(&mut word.sval),
                // Printed as `char` and `bit`, these would mean one character, one bit.
                "bpchar" => plain = Some(format!("pg_catalog.bpchar{brackets}")),
                "bit" => plain = Some(format!("pg_catalog.\"bit\"{brackets}")),
                // Every other word is the type's own.
                _ => (),
            }
        }
    }
    if let Some(plain) = plain {
        return Ok(plain);
    }
    let sql = pg_query::deparse(&result, pg_query::DeparseOptions::default())
        .map_err(|error| SyntaxError { message: words(&error), offset: 0 })?;
    Ok(sql.strip_prefix("SELECT NULL::").unwrap_or(&sql).to_owned())
}

fn cast_of(result: &mut ParseResult) -> Option<&mut pg_query::protobuf::TypeCast> {
    let statement = result.stmts.first_mut()?.stmt.as_mut()?.node.as_mut()?;
    let Node::SelectStmt(select) = statement else { return None };
    let Node::ResTarget(target) = select.target_list.first_mut()?.node.as_mut()? else {
        return None;
    };
    let Node::TypeCast(cast) = target.val.as_mut()?.node.as_mut()? else { return None };
    Some(cast)
}
