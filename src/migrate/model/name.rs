//! Physical names of what a migration adds while it is active: pgroll's where it has them.

use sha2::{Digest, Sha256};

/// `NAMEDATALEN - 1`, in bytes.
pub const MAX_NAME_BYTES: usize = 63;
const PREFIX: &str = "_pgroll_";
/// True in rows that the backfill has still to fill.
pub const MARKER: &str = "_pgroll_needs_backfill";
/// A table that a check makes and rolls back.
pub const SCRATCH_TABLE: &str = "_pgroll_check";
/// `~` sorts behind letters and digits: of the BEFORE triggers of a table, these fire last.
pub const INSERT_TRIGGER: &str = "~_pgroll_sync_insert";
pub const UPDATE_TRIGGER: &str = "~_pgroll_sync_update";

/// True for names that belong to a migration and not to the user.
pub fn is_ours(name: &str) -> bool {
    name.starts_with(PREFIX)
}

pub fn new_column(column: &str) -> String {
    fitted("_pgroll_new_", column)
}

pub fn deleted_table(table: &str) -> String {
    fitted("_pgroll_del_", table)
}

pub fn duplicate(object: &str) -> String {
    fitted("_pgroll_dup_", object)
}

/// The part of a partitioned index on one partition.
pub fn child_index(index: &str, partition: &str) -> String {
    fitted("", &format!("{partition}_{index}"))
}

/// A column that waits for its name to be free.
pub fn waiting_column(at: usize) -> String {
    format!("_pgroll_waiting_{at}")
}

/// The CHECK that stands for NOT NULL until complete.
pub fn not_null_check(column: &str) -> String {
    fitted("_pgroll_check_not_null_", column)
}

/// The index of an added unique column. Index names are of the schema: the table's is in it.
pub fn unique_index(table: &str, column: &str) -> String {
    fitted("_pgroll_uniq_", &joined(table, column))
}

pub fn sync_function(table: &str) -> String {
    fitted("_pgroll_sync_", table)
}

pub fn up_function(operation: usize, table: &str, column: &str) -> String {
    fitted("_pgroll_up_", &format!("{operation}_{}", joined(table, column)))
}

pub fn down_function(operation: usize, table: &str, column: &str) -> String {
    fitted("_pgroll_down_", &format!("{operation}_{}", joined(table, column)))
}

/// A function that a check makes and rolls back.
pub fn check_function(operation: usize) -> String {
    format!("_pgroll_check_{operation}")
}

/// (`order`, `item_id`) and (`order_item`, `id`) are two names.
fn joined(table: &str, column: &str) -> String {
    format!("{}_{table}_{column}", table.len())
}

/// The name that PostgreSQL would choose for a constraint: `users_email_key`.
pub fn conventional(table: &str, column: &str, suffix: &str) -> String {
    let name = format!("{table}_{column}_{suffix}");
    if name.len() <= MAX_NAME_BYTES {
        return name;
    }
    format!("{}_{suffix}", cut(&format!("{table}_{column}"), MAX_NAME_BYTES - suffix.len() - 1))
}

/// The name that PostgreSQL would choose for a primary key: `users_pkey`.
pub fn primary_key(table: &str) -> String {
    const SUFFIX: &str = "_pkey";
    format!("{}{SUFFIX}", cut(table, MAX_NAME_BYTES - SUFFIX.len()))
}

/// A new constraint whose name another one has until complete.
pub fn waiting_constraint(name: &str) -> String {
    fitted("_pgroll_wait_", name)
}

/// The name, or with the first number that makes it one that is not taken.
pub fn free(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    if !is_taken(name) {
        return name.to_owned();
    }
    // No schema has more constraints than that of one name.
    let numbered = |number: u32| {
        let suffix = number.to_string();
        format!("{}{suffix}", cut(name, MAX_NAME_BYTES - suffix.len()))
    };
    (1..1000).map(numbered).find(|name| !is_taken(name)).unwrap_or_default()
}

/// `prefix` and `name`, with the end of a long name replaced by its hash.
fn fitted(prefix: &str, name: &str) -> String {
    const HASH_BYTES: usize = 4;
    if prefix.len() + name.len() <= MAX_NAME_BYTES {
        return format!("{prefix}{name}");
    }
    let digest = Sha256::digest(name.as_bytes());
    let hash = hex::encode(digest.iter().take(HASH_BYTES).copied().collect::<Vec<u8>>());
    let room = MAX_NAME_BYTES - prefix.len() - hash.len() - 1;
    format!("{prefix}{}_{hash}", cut(name, room))
}

/// At most `bytes`, at a character's border.
fn cut(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{MAX_NAME_BYTES, duplicate, new_column, unique_index, up_function};

    #[test]
    fn short_names_are_pgrolls() {
        assert_eq!(new_column("email"), "_pgroll_new_email");
        assert_eq!(duplicate("users_email_key"), "_pgroll_dup_users_email_key");
    }

    #[test]
    fn long_names_fit_and_stay_apart() {
        let names =
            [format!("{}a", "x".repeat(62)), format!("{}b", "x".repeat(62)), "é".repeat(31)];
        let fitted: Vec<String> = names.iter().map(|name| new_column(name)).collect();
        assert!(fitted.iter().all(|name| name.len() <= MAX_NAME_BYTES), "{fitted:?}");
        assert_ne!(fitted[0], fitted[1]);
    }

    #[test]
    fn a_table_and_a_column_are_told_apart() {
        assert_ne!(unique_index("order", "item_id"), unique_index("order_item", "id"));
        assert_ne!(up_function(0, "order", "item_id"), up_function(0, "order_item", "id"));
    }
}
