//! The names that PostgreSQL gives to what has none (`ChooseIndexName`, indexcmds.c and
//! `ChooseConstraintName`, `pg_constraint.c`), as far as they do not depend on what is there.

/// NAMEDATALEN - 1.
const NAME_MAX_BYTES: usize = 63;

/// `<table>_<columns>_<label>`, the longer of the first two cut until it fits, with a number
/// behind the label if the name is taken.
pub(super) fn object_name(
    table: &str,
    columns: &[String],
    label: &str,
    is_taken: impl Fn(&str) -> bool,
) -> String {
    let mut name = fitted(table, &columns.join("_"), label);
    for number in 1.. {
        if !is_taken(&name) {
            break;
        }
        name = fitted(table, &columns.join("_"), &format!("{label}{number}"));
    }
    name
}

/// `makeObjectName`, indexcmds.c.
fn fitted(table: &str, columns: &str, label: &str) -> String {
    let (mut table, mut columns) = (table, columns);
    let separators = if columns.is_empty() { 1 } else { 2 };
    let room = NAME_MAX_BYTES.saturating_sub(label.len() + separators);
    while table.len() + columns.len() > room {
        if table.len() > columns.len() {
            table = without_last(table);
        } else {
            columns = without_last(columns);
        }
    }
    if columns.is_empty() {
        format!("{table}_{label}")
    } else {
        format!("{table}_{columns}_{label}")
    }
}

fn without_last(text: &str) -> &str {
    let mut characters = text.chars();
    characters.next_back();
    characters.as_str()
}
