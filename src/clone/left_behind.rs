//! What a clone does not take along, because it holds secrets or cannot be masked. It is counted
//! and said, so that nobody misses it by surprise.

use super::error::CloneError;
use crate::pg::Session;

const LEFT_BEHIND: &str = include_str!("sql/left_behind.sql");

/// Columns of [`LEFT_BEHIND`]: what they count, one and many, and why it stays.
const KINDS: [(&str, &str, &str, &str); 4] = [
    ("large_objects", "large object", "large objects", "what is in them cannot be masked"),
    ("subscriptions", "subscription", "subscriptions", "they hold connection strings"),
    ("user_mappings", "user mapping", "user mappings", "they hold passwords"),
    ("security_labels", "security label", "security labels", "they belong to the server's policy"),
];

/// One sentence for each kind that the source has.
pub(super) async fn find(source: &Session) -> Result<Vec<String>, CloneError> {
    let failed = CloneError::query("count what stays behind");
    let row = match source.query_one(LEFT_BEHIND, &[]).await {
        Ok(row) => row,
        Err(error) => return Err(failed(error.into())),
    };
    let sentence = |(column, one, many, reason): (&str, &str, &str, &str)| {
        let count: i64 = row.get(column);
        let what = if count == 1 { one } else { many };
        (count > 0).then(|| format!("left behind: {count} {what} ({reason})"))
    };
    Ok(KINDS.into_iter().filter_map(sentence).collect())
}
