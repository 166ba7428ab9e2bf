//! Settings of roles and databases, as `pg_db_role_setting` has them, written as statements.

use super::{Ident, Literal};

/// Settings whose value is a list of quoted names (`GUC_LIST_QUOTE` in `guc_tables.c`): each name is
/// written as a constant of its own, as `pg_dump` does.
const LISTS: [&str; 6] = [
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
];

/// `set "name" to value`, for ALTER DATABASE and ALTER ROLE, of a value as it stands in the catalog.
pub(crate) fn set_clause(name: &str, value: &str) -> String {
    let value = if LISTS.contains(&name) {
        names(value).iter().map(|name| Literal(name).to_string()).collect::<Vec<_>>().join(", ")
    } else {
        Literal(value).to_string()
    };
    format!("set {} to {value}", Ident(name))
}

/// `a, "b ""c"` as `SplitGUCList` (varlena.c) reads it.
fn names(list: &str) -> Vec<String> {
    let (mut names, mut name) = (Vec::new(), String::new());
    let mut is_quoted = false;
    let mut characters = list.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if is_quoted && characters.next_if_eq(&'"').is_some() => name.push('"'),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => names.push(std::mem::take(&mut name)),
            ' ' if !is_quoted => {}
            other => name.push(other),
        }
    }
    names.push(name);
    names
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn a_list_of_names_is_taken_apart() {
        assert_eq!(names(r#"a, "b, ""c""#), ["a", "b, \"c"]);
        assert_eq!(names(r#""""#), [""]);
    }
}
