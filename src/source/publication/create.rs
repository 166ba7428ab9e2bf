//! Makes and drops a stream's own publications.

use super::plan::{PublicationPlan, Published};
use crate::pg::{Error, Ident, Session};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Longest wait for one table's lock. CREATE PUBLICATION takes SHARE UPDATE EXCLUSIVE, for which
/// no reader or writer waits; longer than the default `deadlock_timeout` of 1 s, after which an
/// autovacuum in the way is cancelled (proc.c `ProcSleep`).
const LOCK_TIMEOUT: &str = "2s";
/// Longest for the whole statement, in which it holds those locks.
const STATEMENT_TIMEOUT: &str = "20s";
/// All attempts together.
const ATTEMPTS_LIMIT: Duration = Duration::from_secs(45);
const PAUSE: Duration = Duration::from_millis(300);

/// What the two publications of a slot publish of their tables.
const WHOLE: &str = "insert, update, delete, truncate";
const INSERT_ONLY: &str = "insert, truncate";
const BLOCKERS: &str = include_str!("../sql/publication_blockers.sql");

#[derive(Debug, thiserror::Error)]
pub enum PublicationError {
    #[error("make the publications {}", .names.join(", "))]
    Server { names: Vec<String>, source: Error },
    #[error("make the publications {}: locks on their tables are held by {}", .names.join(", "), .holders.join(", "))]
    Locked { names: Vec<String>, holders: Vec<String> },
}

/// The names of a slot's publications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicationNames {
    pub whole: String,
    pub insert_only: String,
}

impl PublicationNames {
    pub fn of_slot(slot_name: &str) -> Self {
        let stem = slot_name.strip_prefix("backlot_").unwrap_or(slot_name);
        Self { whole: format!("backlot_{stem}"), insert_only: format!("backlot_{stem}_insert") }
    }

    pub fn all(&self) -> Vec<String> {
        vec![self.whole.clone(), self.insert_only.clone()]
    }

    /// Those that the plan fills; the first one also if it stays empty.
    pub fn used(&self, plan: &PublicationPlan) -> Vec<String> {
        let mut names = Vec::new();
        if !plan.whole.is_empty() || plan.insert_only.is_empty() {
            names.push(self.whole.clone());
        }
        if !plan.insert_only.is_empty() {
            names.push(self.insert_only.clone());
        }
        names
    }
}

/// The statements that make them, for an owner to run or for ourselves.
pub fn statements(names: &PublicationNames, plan: &PublicationPlan) -> Vec<String> {
    let used = names.used(plan);
    let statement = |name: &String, tables: &BTreeSet<Published>, publish: &str| {
        let list = tables.iter().map(table).collect::<Vec<_>>().join(", ");
        let list = if list.is_empty() { list } else { format!(" for table {list}") };
        used.contains(name).then(|| {
            format!("create publication {}{list} with (publish = '{publish}')", Ident(name))
        })
    };
    let whole = statement(&names.whole, &plan.whole, WHOLE);
    let insert_only = statement(&names.insert_only, &plan.insert_only, INSERT_ONLY);
    whole.into_iter().chain(insert_only).collect()
}

/// Inheritance children are published by their own name or not at all.
fn table(published: &Published) -> String {
    let only = if published.is_partitioned { "" } else { "only " };
    format!("{only}{}", published.name.sql())
}

/// Makes a slot's publications in one transaction, in the place of those that an earlier attempt
/// left. Returns their names.
pub async fn create_publications(
    session: &Session,
    names: &PublicationNames,
    plan: &PublicationPlan,
) -> Result<Vec<String>, PublicationError> {
    let mut sql = format!(
        "begin; set local lock_timeout = '{LOCK_TIMEOUT}'; set local statement_timeout = '{STATEMENT_TIMEOUT}';"
    );
    for name in names.all() {
        sql.extend(["drop publication if exists ", &Ident(&name).to_string(), ";"]);
    }
    sql.extend(statements(names, plan).into_iter().map(|statement| statement + ";"));
    sql.push_str("commit");
    let used = names.used(plan);
    let deadline = Instant::now() + ATTEMPTS_LIMIT;
    loop {
        let Err(source) = session.execute_all(&sql).await else { return Ok(used) };
        let failed = |source| PublicationError::Server { names: used.clone(), source };
        session.execute_all("rollback").await.map_err(failed)?;
        // lock_not_available, query_canceled by statement_timeout, deadlock_detected
        if !matches!(source.sqlstate(), Some("55P03" | "57014" | "40P01")) {
            return Err(failed(source));
        }
        if Instant::now() > deadline {
            let oids = plan.whole.iter().chain(&plan.insert_only);
            let oids = oids.map(|published| published.oid.0).collect::<Vec<_>>();
            let rows = session.query(BLOCKERS, &[&oids]).await;
            let rows = rows.map_err(|error| failed(error.into()))?;
            let holders = rows.iter().map(|row| row.get(0)).collect::<Vec<String>>();
            if holders.is_empty() {
                return Err(failed(source));
            }
            return Err(PublicationError::Locked { names: used, holders });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Adds tables to a slot's publications, of which the insert-only one is made if it is not there.
/// Returns the publications that have them now.
pub async fn add_to_publications(
    session: &Session,
    names: &PublicationNames,
    plan: &PublicationPlan,
) -> Result<Vec<String>, PublicationError> {
    let used = names.used(plan);
    let failed = |source: Error| PublicationError::Server { names: used.clone(), source };
    let is_there =
        "select exists (select from pg_catalog.pg_publication where pubname = $1::text::name)";
    let mut statements = vec![
        "begin".to_owned(),
        format!("set local lock_timeout = '{LOCK_TIMEOUT}'"),
        format!("set local statement_timeout = '{STATEMENT_TIMEOUT}'"),
    ];
    let both =
        [(&names.whole, &plan.whole, WHOLE), (&names.insert_only, &plan.insert_only, INSERT_ONLY)];
    for (name, tables, publish) in both.into_iter().filter(|(_, tables, _)| !tables.is_empty()) {
        let row = session.query_one(is_there, &[name]).await;
        let name = Ident(name);
        if !row.map_err(|error| failed(error.into()))?.get::<_, bool>(0) {
            statements.push(format!("create publication {name} with (publish = '{publish}')"));
        }
        let list = tables.iter().map(table).collect::<Vec<_>>().join(", ");
        statements.push(format!("alter publication {name} add table {list}"));
    }
    statements.push("commit".to_owned());
    let sql = statements.join(";");
    let Err(source) = session.execute_all(&sql).await else { return Ok(used) };
    session.execute_all("rollback").await.map_err(failed)?;
    Err(failed(source))
}

/// Drops publications that are there.
pub async fn drop_publications(session: &Session, names: &[String]) -> Result<(), Error> {
    for name in names {
        session.execute_all(&format!("drop publication if exists {}", Ident(name))).await?;
    }
    Ok(())
}
