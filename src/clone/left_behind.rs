//! What a clone does not take along, because it holds secrets, cannot be masked, or belongs to an
//! extension. It is counted and said, so that nobody misses it by surprise.

use super::error::CloneError;
use crate::catalog::RelationName;
use crate::pg::Session;

const LEFT_BEHIND: &str = include_str!("sql/left_behind.sql");

/// Columns of [`LEFT_BEHIND`]: what they count, one and many, and why it stays.
const KINDS: [(&str, &str, &str, &str); 4] = [
    ("large_objects", "large object", "large objects", "what is in them cannot be masked"),
    ("subscriptions", "subscription", "subscriptions", "they hold connection strings"),
    ("user_mappings", "user mapping", "user mappings", "they hold passwords"),
    ("security_labels", "security label", "security labels", "they belong to the server's policy"),
];

/// Tables of which an extension says that they hold users' rows too, and the condition that tells
/// these from its own (`pg_extension_config_dump`).
const CONFIG_TABLES: &str = include_str!("sql/config_tables.sql");

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
    let mut sentences = KINDS.into_iter().filter_map(sentence).collect::<Vec<_>>();
    sentences.extend(config_rows(source).await?);
    Ok(sentences)
}

/// One sentence for each table of an extension to which somebody has added rows.
async fn config_rows(source: &Session) -> Result<Vec<String>, CloneError> {
    let failed = |error: tokio_postgres::Error| {
        CloneError::query("look into extensions' tables")(error.into())
    };
    let mut sentences = Vec::new();
    for row in source.query(CONFIG_TABLES, &[]).await.map_err(failed)? {
        let (extension, condition): (String, String) = (row.get("extension"), row.get("condition"));
        let table = RelationName::new(row.get::<_, String>("schema"), row.get::<_, String>("name"));
        if !row.get::<_, bool>("is_readable") {
            sentences.push(format!(
                "perhaps left behind: rows of {table}, which the role may not read (they belong to the extension {extension})"
            ));
            continue;
        }
        let count = format!("select count(*) from only {} {condition}", table.sql());
        let count: i64 = source.query_one(&count, &[]).await.map_err(failed)?.get(0);
        if count > 0 {
            let rows = if count == 1 { "row" } else { "rows" };
            sentences.push(format!(
                "left behind: {count} {rows} of {table} (they belong to the extension {extension})"
            ));
        }
    }
    Ok(sentences)
}
