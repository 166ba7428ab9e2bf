//! What a file of a directory is called, and in which order the files run.

use super::Form;

/// The base name without its last extension: `migrations/02_add.yaml` is `02_add`.
pub fn migration_name(path: &str) -> &str {
    let base = path.rsplit('/').next().unwrap_or(path);
    match base.rsplit_once('.') {
        Some((name, _)) if !name.is_empty() => name,
        _ => base,
    }
}

/// Two files that are one migration by their names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{first}` and `{second}` are both migration `{name}`: the directory may hold one of them")]
pub struct SameName {
    pub name: String,
    pub first: String,
    pub second: String,
}

/// The migration files among the base names of one directory, in the order in which they run:
/// by the bytes of the name with its extension. Hidden files are none.
///
/// # Errors
/// [`SameName`] for `a.json` beside `a.yaml`: the history tells migrations by name.
pub fn migration_files(names: impl IntoIterator<Item = String>) -> Result<Vec<String>, SameName> {
    let is_migration = |name: &String| !name.starts_with('.') && Form::of(name).is_some();
    let mut files: Vec<String> = names.into_iter().filter(is_migration).collect();
    files.sort_unstable();
    // `a.json`, `a.x.json`, `a.yaml` are in this order: two of one name need not be neighbours.
    for (at, second) in files.iter().enumerate() {
        let name = migration_name(second);
        if let Some(first) = files.iter().take(at).find(|first| migration_name(first) == name) {
            let (first, second) = (first.clone(), second.clone());
            return Err(SameName { name: name.to_owned(), first, second });
        }
    }
    Ok(files)
}
