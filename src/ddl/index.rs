//! Indexes, built and dropped beside the table's traffic.
//!
//! `CREATE INDEX CONCURRENTLY` that fails leaves an invalid index, which every writer maintains and no
//! query uses (<https://www.postgresql.org/docs/current/sql-createindex.html>, "Building Indexes
//! Concurrently"). No way out of here leaves one.

use super::execute::{Failed, failed};
use super::{ExecuteError, Executor, Outcome, Work};
use crate::catalog::RelationName;
use crate::pg::Error;

#[derive(Clone, Copy, PartialEq, Eq)]
enum IndexState {
    Absent,
    Invalid,
    Valid,
}

/// An index is there for good when it is valid; one of a partitioned table when all leaves are.
const STATE: &str = "select i.indisvalid and i.indisready from pg_catalog.pg_class c \
     join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
     join pg_catalog.pg_index i on i.indexrelid = c.oid \
     where n.nspname = $1::text and c.relname = $2::text";

impl Executor {
    /// Runs one `CREATE INDEX CONCURRENTLY` until its index is valid.
    ///
    /// # Errors
    /// None leaves an invalid index, unless the server is gone.
    pub async fn build_index(
        &mut self,
        work: &Work<'_>,
        index: &RelationName,
    ) -> Result<Outcome, ExecuteError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let Err(failed) = self.try_build(work, index).await else { return Ok(Outcome::Ran) };
            // What this attempt left must not outlive it. If it does, the connection is gone, and
            // the next attempt finds it.
            drop(self.drop_invalid(index).await);
            // query_canceled
            if failed.source.sqlstate() == Some("57014") {
                return Err(ExecuteError::TooSlow {
                    step: work.step.to_owned(),
                    index: index.to_string(),
                    limit: self.options.patience.build_limit,
                });
            }
            self.after(work, failed, attempt).await?;
        }
    }

    /// Runs one `DROP INDEX CONCURRENTLY IF EXISTS`.
    pub async fn drop_index(
        &mut self,
        work: &Work<'_>,
        index: &RelationName,
    ) -> Result<Outcome, ExecuteError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.try_drop(work, index).await {
                Ok(()) => return Ok(Outcome::Ran),
                Err(failed) => self.after(work, failed, attempt).await?,
            }
        }
    }

    async fn try_build(&mut self, work: &Work<'_>, index: &RelationName) -> Result<(), Failed> {
        let is_first = self.announce(work).await?;
        if !is_first {
            match self.index_state(index).await? {
                IndexState::Valid => return self.conclude(work).await,
                IndexState::Invalid => self.drop_invalid(index).await?,
                IndexState::Absent => {}
            }
        }
        self.outside(work.statements).await?;
        if self.index_state(index).await? == IndexState::Invalid {
            return Err(failed(
                "create index concurrently",
                Error::Protocol("the index is not valid"),
            ));
        }
        self.conclude(work).await
    }

    async fn try_drop(&mut self, work: &Work<'_>, index: &RelationName) -> Result<(), Failed> {
        let is_first = self.announce(work).await?;
        if is_first || self.index_state(index).await? != IndexState::Absent {
            self.outside(work.statements).await?;
        }
        self.conclude(work).await
    }

    /// Drops an index that a failed build left. Waits, as the build did, for who looks at it.
    async fn drop_invalid(&mut self, index: &RelationName) -> Result<(), Failed> {
        if self.index_state(index).await? != IndexState::Invalid {
            return Ok(());
        }
        let drop_it = format!("drop index concurrently if exists {}", index.sql());
        self.outside(&[drop_it]).await
    }

    async fn index_state(&mut self, index: &RelationName) -> Result<IndexState, Failed> {
        let session = self.usable("connect").await?;
        let row = session.query_opt(STATE, &[&index.schema, &index.name]).await;
        let row = row.map_err(|error| failed(STATE, error.into()))?;
        Ok(match row.map(|row| row.get::<_, bool>(0)) {
            None => IndexState::Absent,
            Some(false) => IndexState::Invalid,
            Some(true) => IndexState::Valid,
        })
    }
}
