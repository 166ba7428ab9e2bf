//! Names of tables and columns as a configuration file spells them.

use crate::catalog::RelationName;

/// Splits at dots outside double quotes; `""` inside quotes is a quote. `None` if a part is
/// empty or a quote stays open.
fn split(text: &str) -> Option<Vec<String>> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                parts.last_mut()?.push('"');
            }
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(String::new()),
            other => parts.last_mut()?.push(other),
        }
    }
    (!quoted && parts.iter().all(|part| !part.is_empty())).then_some(parts)
}

/// `schema.table`; a part that holds a dot or a quote stands in double quotes.
pub fn parse_relation_name(text: &str) -> Option<RelationName> {
    match split(text)?.as_slice() {
        [schema, name] => Some(RelationName::new(schema, name)),
        _ => None,
    }
}

/// `schema.table.column`.
pub fn parse_column_name(text: &str) -> Option<(RelationName, String)> {
    match split(text)?.as_slice() {
        [schema, name, column] => Some((RelationName::new(schema, name), column.clone())),
        _ => None,
    }
}

/// The spelling that [`parse_relation_name`] reads back.
pub fn write_relation_name(name: &RelationName) -> String {
    format!("{}.{}", write_part(&name.schema), write_part(&name.name))
}

fn write_part(part: &str) -> String {
    if part.contains(['.', '"']) {
        format!("\"{}\"", part.replace('"', "\"\""))
    } else {
        part.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::{parse_column_name, parse_relation_name, write_relation_name};
    use crate::catalog::RelationName;

    #[test]
    fn a_name_is_read_back_as_it_was_written() {
        for (schema, table) in [("public", "users"), ("a.b", "c\"d"), ("Größe", "x y")] {
            let name = RelationName::new(schema, table);
            assert_eq!(parse_relation_name(&write_relation_name(&name)), Some(name));
        }
    }

    #[test]
    fn half_a_name_is_no_name() {
        for text in ["users", "public.", ".users", "a.b.c", "\"a.b", ""] {
            assert_eq!(parse_relation_name(text), None, "{text}");
        }
        assert!(parse_column_name("public.users.email").is_some());
        assert!(parse_column_name("public.users").is_none());
    }
}
