//! The way through one relation: by its key, or by its pages; then what moved out of the way.
//!
//! A large table is walked by its pages, over two sessions: two neighbouring ranges at a time. Only
//! the lower one moves the noted place on, so that a process that takes over finds every row before
//! it done; what is done behind it is told by its marker.

use super::policy::SETTING;
use crate::catalog::RelationName;
use crate::migrate::plan::{Backfill, Key};
use crate::pg::{Error, Ident, Literal, Session};
use crate::roll::{Roll, RollError};
use crate::state::roll::{BackfillProgress, RollState};
use std::time::{Duration, Instant};

/// Rows a page is thought to hold before statistics say more.
const ROWS_A_PAGE: i64 = 40;

/// Below that, a second session gains nothing.
const WIDE_ROWS: i64 = 50_000;

/// Only of a heap pages tell where rows are.
const SIZE: &str = "select c.reltuples::int8, \
     pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::int8, m.amname = 'heap' \
     from pg_catalog.pg_class c join pg_catalog.pg_am m on m.oid = c.relam where c.oid = $1::text::regclass";
const KEY_TYPES: &str = "select a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod) \
     from pg_catalog.pg_attribute a where a.attrelid = $1::text::regclass and a.attnum > 0 and not a.attisdropped";

/// Of texts that any session reads the same way.
const PLAIN_TIMES: &str = "set local \"TimeZone\" = 'UTC'; set local \"DateStyle\" = 'ISO'; \
     set local \"IntervalStyle\" = 'postgres'";
const OWN_TIMES: &str = "set local \"TimeZone\" to default; set local \"DateStyle\" to default; \
     set local \"IntervalStyle\" to default";

/// Where the walk stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// After this key; `None`: before the first.
    AfterKey(Option<Vec<String>>),
    /// Before this page.
    BeforePage(i64),
    /// The way is done; rows that moved while it was walked may be left.
    Stragglers,
    Over,
}

pub(super) struct Walk {
    pub(super) relation: RelationName,
    pub(super) rows: u64,
    pub(super) row_estimate: u64,
    pub(super) rows_here: u64,
    pub(super) since: Instant,
    place: Place,
    is_wide: bool,
    /// Names and types of the key.
    key: Vec<(String, String)>,
    pages: i64,
    rows_a_page: i64,
    /// `set a = …, b = …`
    assignments: String,
    only_where: Option<String>,
    search_path: String,
    runs_as: Option<String>,
    /// Of the journal's row: schema, migration, backfill, relation.
    note: [String; 4],
    advance: String,
    /// Passes in a row that found rows to fill and filled none.
    fruitless: u32,
}

/// Rows that somebody else fills between the look and the update make a pass fruitless, too.
const FRUITLESS_LIMIT: u32 = 100;

impl Walk {
    /// From where the journal says.
    pub(super) async fn begin(
        roll: &mut Roll,
        name: &str,
        backfill: &Backfill,
        relation: &RelationName,
    ) -> Result<Self, RollError> {
        let search_path = roll.executor.search_path();
        let runs_as = roll.options.role.clone();
        let session = roll.executor.session().await?;
        let failed = |error: tokio_postgres::Error| {
            RollError::query(format!("look at table {relation}"))(error.into())
        };
        let size = session.query_one(SIZE, &[&relation.sql()]).await.map_err(failed)?;
        let (tuples, pages): (i64, i64) = (size.get(0), size.get(1));
        let row_estimate = if tuples > 0 { tuples } else { pages * ROWS_A_PAGE };
        let written = relation.to_string();
        let state = roll.state();
        let journal = async {
            state.begin_backfill(name, (&backfill.id, &written), row_estimate).await?;
            state.backfills(name).await
        };
        let known = journal.await.map_err(RollError::query("note the backfill"))?;
        let session = roll.executor.session().await?;
        let is_this = |at: &&BackfillProgress| at.backfill == backfill.id && at.relation == written;
        // As it was when the backfill began: the noted place is a page or a key by it.
        let first_estimate = known.iter().find(is_this).map_or(0, |at| at.row_estimate);
        let is_wide =
            first_estimate >= WIDE_ROWS && backfill.only_where.is_some() && size.get::<_, bool>(2);
        let key = match &backfill.key {
            Key::Columns(_) if is_wide => Vec::new(),
            Key::Ctid => Vec::new(),
            Key::Columns(columns) => {
                let rows = session.query(KEY_TYPES, &[&relation.sql()]).await.map_err(failed)?;
                let types = rows.iter().map(|row| (row.get::<_, String>(0), row.get(1)));
                let types = types.collect::<std::collections::HashMap<_, String>>();
                let part = |name: &String| Some((name.clone(), types.get(name)?.clone()));
                columns.iter().filter_map(part).collect()
            }
        };
        let mut walk = Self {
            relation: relation.clone(),
            rows: 0,
            row_estimate: u64::try_from(row_estimate).unwrap_or(0),
            rows_here: 0,
            since: Instant::now(),
            place: Place::Over,
            is_wide,
            key,
            pages,
            rows_a_page: (row_estimate / pages.max(1)).max(1),
            assignments: assignments(backfill),
            only_where: backfill.only_where.clone(),
            search_path,
            runs_as,
            note: [roll.options.schema.clone(), name.to_owned(), backfill.id.clone(), written],
            advance: RollState::advance(&roll.options.state_schema),
            fruitless: 0,
        };
        walk.stand_where(&known);
        Ok(walk)
    }

    /// From where the journal says now.
    pub(super) async fn reload(&mut self, roll: &Roll) -> Result<(), RollError> {
        let [_, name, _, _] = &self.note;
        let known = roll.state().backfills(name).await;
        self.stand_where(&known.map_err(RollError::query("read the journal"))?);
        Ok(())
    }

    fn stand_where(&mut self, known: &[BackfillProgress]) {
        let [_, _, backfill, relation] = &self.note;
        let at = known.iter().find(|at| at.backfill == *backfill && at.relation == *relation);
        let position = at.and_then(|at| at.position.clone());
        self.rows = at.map_or(0, |at| u64::try_from(at.rows).unwrap_or(0));
        self.place = match (at, position) {
            (Some(at), _) if at.is_done => Place::Over,
            (_, Some(position)) if position.is_empty() => Place::Stragglers,
            (_, Some(position)) if self.key.is_empty() => {
                let page = position.first().and_then(|page| page.parse().ok());
                page.map_or(Place::BeforePage(0), Place::BeforePage)
            }
            (_, None) if self.key.is_empty() => Place::BeforePage(0),
            (_, position) => Place::AfterKey(position),
        };
    }

    pub(super) fn is_over(&self) -> bool {
        self.place == Place::Over
    }

    /// True if there is work for two sessions.
    pub(super) fn is_wide(&self) -> bool {
        self.is_wide
    }

    /// Ranges that the next [`Walk::advance`] fills at a time.
    pub(super) fn lanes(&self, has_second: bool) -> u64 {
        if has_second && matches!(self.place, Place::BeforePage(_)) { 2 } else { 1 }
    }

    /// True if rows are found again and again that no update reaches.
    pub(super) fn is_stuck(&self) -> bool {
        self.fruitless >= FRUITLESS_LIMIT
    }

    /// Fills the next range, or the next two, and gives the number of rows that were written.
    pub(super) async fn advance(
        &mut self,
        (session, second): (&Session, Option<&Session>),
        row_limit: u32,
        statement_timeout: Duration,
    ) -> Result<u64, Error> {
        let (rows, place) = match (&self.place, second) {
            (Place::BeforePage(page), Some(second)) => {
                let middle = page + self.page_count(row_limit);
                let end = middle + self.page_count(row_limit);
                let lower =
                    Range { condition: between(*page, middle), next: Some(self.at(middle)) };
                let upper = Range { condition: between(middle, end), next: None };
                let (lower, upper) = tokio::join!(
                    self.fill(session, (row_limit, statement_timeout), Some(lower)),
                    self.fill(second, (row_limit, statement_timeout), Some(upper)),
                );
                // Both have come to their end, whichever way.
                (lower?.0 + upper?.0, self.at(end))
            }
            _ => self.fill(session, (row_limit, statement_timeout), None).await?,
        };
        let is_fruitless = rows == 0 && place == Place::Stragglers && self.place == place;
        self.fruitless = if is_fruitless { self.fruitless + 1 } else { 0 };
        self.place = place;
        self.rows += rows;
        self.rows_here += rows;
        Ok(rows)
    }

    /// One range in one transaction.
    async fn fill(
        &self,
        session: &Session,
        limits: (u32, Duration),
        range: Option<Range>,
    ) -> Result<(u64, Place), Error> {
        let result = self.try_fill(session, limits, range).await;
        if result.is_err() {
            // If this fails too, the connection is gone, and the transaction with it.
            drop(session.execute_all("rollback").await);
        }
        result
    }

    async fn try_fill(
        &self,
        session: &Session,
        (row_limit, statement_timeout): (u32, Duration),
        range: Option<Range>,
    ) -> Result<(u64, Place), Error> {
        // Policies hold for a backfill only where its own lets it through.
        let mut begin = format!(
            "begin;set local search_path = {};set local row_security = on;set local {SETTING} = 'on';\
             set local statement_timeout = {}",
            self.search_path,
            statement_timeout.as_millis()
        );
        if let Some(role) = &self.runs_as {
            begin.extend([";set local role ", &Ident(role).to_string()]);
        }
        session.execute_all(&begin).await?;
        let Range { condition, next } = match range {
            Some(range) => range,
            None => self.range(session, row_limit, statement_timeout).await?,
        };
        let update = format!(
            "update {} set {} where {condition}{}",
            self.relation.sql(),
            self.assignments,
            self.only_where.as_ref().map(|rest| format!(" and ({rest})")).unwrap_or_default()
        );
        let rows = session.execute(&update, &[]).await?;
        self.note(session, rows, next.as_ref()).await?;
        Ok((rows, next.unwrap_or_else(|| self.place.clone())))
    }

    /// `next`: the new place; without it the noted one stays.
    async fn note(&self, session: &Session, rows: u64, next: Option<&Place>) -> Result<(), Error> {
        let position = match next {
            None => None,
            Some(Place::AfterKey(key)) => key.clone(),
            Some(Place::BeforePage(page)) => Some(vec![page.to_string()]),
            Some(Place::Stragglers | Place::Over) => Some(Vec::new()),
        };
        let [schema, name, backfill, relation] = &self.note;
        let rows = i64::try_from(rows).unwrap_or(0);
        let is_done = next == Some(&Place::Over);
        // The other session may have the journal's row until it has committed, however long a replica
        // takes for that.
        session
            .execute_all("reset role;set local lock_timeout = 0;set local statement_timeout = 0")
            .await?;
        session
            .execute(&self.advance, &[schema, name, backfill, relation, &position, &rows, &is_done])
            .await?;
        session.execute_all("commit").await
    }

    /// The condition of the next range, and the place behind it.
    async fn range(
        &self,
        session: &Session,
        row_limit: u32,
        statement_timeout: Duration,
    ) -> Result<Range, Error> {
        let (condition, next) = match &self.place {
            Place::BeforePage(page) => {
                let next = page + self.page_count(row_limit);
                (between(*page, next), self.at(next))
            }
            Place::AfterKey(after) => self.key_range(session, after.as_deref(), row_limit).await?,
            Place::Stragglers | Place::Over => {
                self.stragglers(session, row_limit, statement_timeout).await?
            }
        };
        Ok(Range { condition, next: Some(next) })
    }

    /// Pages of so many rows.
    fn page_count(&self, rows: u32) -> i64 {
        (i64::from(rows) / self.rows_a_page).max(1)
    }

    /// The place before this page, if it is one of those that were there at first.
    fn at(&self, page: i64) -> Place {
        if page >= self.pages { self.end() } else { Place::BeforePage(page) }
    }

    /// Rows that moved out of the way, and those of child tables. Looking for them reads the whole
    /// table without locking a row: that may take its time.
    async fn stragglers(
        &self,
        session: &Session,
        row_limit: u32,
        statement_timeout: Duration,
    ) -> Result<(String, Place), Error> {
        let Some(rest) = &self.only_where else { return Ok(("false".to_owned(), Place::Over)) };
        session.execute_all("set local statement_timeout = 0").await?;
        let look = format!(
            "select ctid::text, tableoid::int8 from {} where {rest} limit {row_limit}",
            self.relation.sql()
        );
        let rows = session.query(&look, &[]).await?;
        let limit = format!("set local statement_timeout = {}", statement_timeout.as_millis());
        session.execute_all(&limit).await?;
        let Some(first) = rows.first() else { return Ok(("false".to_owned(), Place::Over)) };
        // Places of one table at a time: a child has the same ones.
        let table: i64 = first.get(1);
        let places = rows.iter().filter(|row| row.get::<_, i64>(1) == table);
        let places = places.map(|row| format!("\"{}\"", row.get::<_, &str>(0)));
        let places = places.collect::<Vec<_>>().join(",");
        let condition = format!("ctid = any ('{{{places}}}'::tid[]) and tableoid = {table}");
        Ok((condition, Place::Stragglers))
    }

    /// Where the way ends: where it can be told what is left, that is looked for.
    fn end(&self) -> Place {
        if self.only_where.is_some() { Place::Stragglers } else { Place::Over }
    }

    async fn key_range(
        &self,
        session: &Session,
        after: Option<&[String]>,
        row_limit: u32,
    ) -> Result<(String, Place), Error> {
        let names =
            self.key.iter().map(|(name, _)| Ident(name).to_string()).collect::<Vec<_>>().join(", ");
        let texts = self.key.iter().map(|(name, _)| format!("{}::text", Ident(name)));
        let texts = texts.collect::<Vec<_>>().join(", ");
        let from = match after {
            None => "true".to_owned(),
            Some(key) => format!("({names}) > ({})", self.literals(key)),
        };
        // Qualified: by its bare name, ORDER BY would take the text of the key from the select list.
        let order = self.key.iter().map(|(name, _)| format!("walked.{}", Ident(name)));
        let order = order.collect::<Vec<_>>().join(", ");
        let last = format!(
            "select {texts} from {} as walked where {from} order by {order} offset {} limit 1",
            self.relation.sql(),
            row_limit.saturating_sub(1)
        );
        // The noted key is read by sessions that write times in another way.
        session.execute_all(PLAIN_TIMES).await?;
        let row = session.query_opt(&last, &[]).await?;
        session.execute_all(OWN_TIMES).await?;
        let Some(row) = row else {
            return Ok((from, self.end()));
        };
        let key = (0..self.key.len()).map(|at| row.get::<_, String>(at)).collect::<Vec<_>>();
        let condition = format!("{from} and ({names}) <= ({})", self.literals(&key));
        Ok((condition, Place::AfterKey(Some(key))))
    }

    fn literals(&self, key: &[String]) -> String {
        let literals = self
            .key
            .iter()
            .zip(key)
            .map(|((_, type_name), value)| format!("{}::{type_name}", Literal(value)));
        literals.collect::<Vec<_>>().join(", ")
    }
}

/// Rows to fill.
struct Range {
    condition: String,
    /// The place that is noted with them.
    next: Option<Place>,
}

fn between(page: i64, end: i64) -> String {
    format!("ctid >= '({page},0)'::tid and ctid < '({end},0)'::tid")
}

fn assignments(backfill: &Backfill) -> String {
    let assignments = backfill
        .assignments
        .iter()
        .map(|assignment| format!("{} = ({})", Ident(&assignment.column), assignment.value));
    assignments.collect::<Vec<_>>().join(", ")
}
