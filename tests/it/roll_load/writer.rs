//! One writer: an application of the old version and one of the new in turn, on rows of its own.

use super::case::{Case, ROWS};
use super::ledger::Ledger;
use crate::support::Random;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, NoTls, Statement};

pub(super) const WRITERS: i64 = 3;
/// After each statement or transaction: a load, and not all that the machine can do.
const PAUSE: Duration = Duration::from_micros(500);

/// A version as the writers know it.
pub(super) struct Version {
    pub(super) schema: String,
    /// Counts how often it came; 0: it was never there.
    pub(super) epoch: AtomicU32,
    /// Its views may be gone at any moment: that ends the use of it, and is no error.
    pub(super) may_go: AtomicBool,
    /// Statements that succeeded.
    pub(super) done: AtomicU64,
}

impl Version {
    pub(super) fn new(schema: &str) -> Self {
        let (epoch, may_go, done) = (AtomicU32::new(0), AtomicBool::new(false), AtomicU64::new(0));
        Self { schema: schema.to_owned(), epoch, may_go, done }
    }

    pub(super) fn comes(&self) {
        self.may_go.store(false, Ordering::SeqCst);
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }
}

pub(super) struct Shared {
    pub(super) case: Case,
    pub(super) url: String,
    /// The old one, the new one.
    pub(super) versions: [Version; 2],
    pub(super) ledgers: Vec<Mutex<Ledger>>,
    pub(super) errors: std::sync::Mutex<Vec<String>>,
    pub(super) stop: AtomicBool,
}

/// Sessions of an application with its statements.
struct Session {
    client: Client,
    epoch: u32,
    is_gone: bool,
    insert: Statement,
    delete: Statement,
    select: Statement,
    /// By field.
    updates: Vec<Option<Statement>>,
}

impl Session {
    async fn open(shared: &Shared, is_new: bool, epoch: u32) -> Result<Self, Error> {
        let schema = &shared.versions[usize::from(is_new)].schema;
        let mut config: tokio_postgres::Config = shared.url.parse()?;
        config.application_name("writer");
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        client.batch_execute(&format!("set search_path = {schema}")).await?;
        let case = &shared.case;
        let table = if is_new { case.table } else { "account" };
        let sides = case.fields.iter().map(|field| field.side(is_new)).collect::<Vec<_>>();
        let seen = sides.iter().flatten();
        let columns = seen.clone().map(|side| side.column).collect::<Vec<_>>().join(", ");
        let values = seen.map(|side| side.value.replace("{n}", "$2::bigint"));
        let values = values.collect::<Vec<_>>().join(", ");
        let insert = format!("insert into {table} (id, {columns}) values ($1::bigint, {values})");
        let mut updates = Vec::new();
        let mut conditions = Vec::new();
        for (at, side) in sides.iter().enumerate() {
            let Some(side) = side else {
                updates.push(None);
                conditions.push(format!("(${}::bigint is not null)", at + 2));
                continue;
            };
            let value = side.value.replace("{n}", "$2::bigint");
            let update =
                format!("update {table} set {} = {value} where id = $1::bigint", side.column);
            updates.push(Some(client.prepare(&update).await?));
            let value = side.value.replace("{n}", &format!("${}::bigint", at + 2));
            conditions.push(format!("{} is not distinct from ({value})", side.column));
        }
        let conditions = conditions.join(" and ");
        let select = format!("select 1 from {table} where id = $1::bigint and {conditions}");
        Ok(Self {
            epoch,
            is_gone: false,
            insert: client.prepare(&insert).await?,
            delete: client.prepare(&format!("delete from {table} where id = $1::bigint")).await?,
            select: client.prepare(&select).await?,
            updates,
            client,
        })
    }
}

/// Writes until it is told to stop.
pub(super) async fn write(shared: &Shared, writer: i64, mut random: Random) {
    let mut sessions: [Option<Session>; 2] = [None, None];
    let mut next = 10_000_000 * (writer + 1);
    while !shared.stop.load(Ordering::SeqCst) {
        tokio::time::sleep(PAUSE).await;
        let is_new = random.below(2) == 1;
        let version = &shared.versions[usize::from(is_new)];
        let mut ledger = shared.ledgers[usize::try_from(writer).unwrap()].lock().await;
        let epoch = version.epoch.load(Ordering::SeqCst);
        if epoch == 0 {
            continue;
        }
        let slot = &mut sessions[usize::from(is_new)];
        if slot.as_ref().is_none_or(|session| session.epoch != epoch) {
            match Session::open(shared, is_new, epoch).await {
                Ok(session) => *slot = Some(session),
                Err(error) if is_farewell(version, &error) => continue,
                Err(error) => {
                    fail(shared, version, &format!("connect: {error:?}"));
                    continue;
                }
            }
        }
        let session = slot.as_mut().unwrap();
        if session.is_gone {
            continue;
        }
        next += 2;
        match step(shared, session, &mut ledger, &mut random, (writer, next), is_new).await {
            Ok(()) => {
                version.done.fetch_add(1, Ordering::SeqCst);
            }
            Err(Trouble::Server(error)) if is_farewell(version, &error) => session.is_gone = true,
            Err(Trouble::Server(error)) => {
                session.is_gone = true;
                fail(shared, version, &format!("{error:?}"));
            }
            Err(Trouble::Wrong(words)) => fail(shared, version, &words),
        }
    }
}

enum Trouble {
    Server(Error),
    Wrong(String),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Server(error)
    }
}

/// `undefined_table`: of a version that is being taken away.
fn is_farewell(version: &Version, error: &Error) -> bool {
    version.may_go.load(Ordering::SeqCst) && error.code().is_some_and(|code| code.code() == "42P01")
}

fn fail(shared: &Shared, version: &Version, words: &str) {
    shared.errors.lock().unwrap().push(format!("{}: {words}", version.schema));
}

async fn step(
    shared: &Shared,
    session: &Session,
    ledger: &mut Ledger,
    random: &mut Random,
    (writer, seed): (i64, i64),
    is_new: bool,
) -> Result<(), Trouble> {
    let case = &shared.case;
    let place = usize::try_from(random.below(ledger.alive.len() as u64)).unwrap();
    let id = ledger.alive[place];
    let one = |what: &str, rows: u64| {
        if rows == 1 { Ok(()) } else { Err(Trouble::Wrong(format!("{what} of {id}: {rows} rows"))) }
    };
    match random.below(100) {
        // An insert.
        0..10 => {
            let id = (ROWS / WRITERS + 1 + seed / 2 % 1_000_000) * WRITERS + writer;
            let rows = session.client.execute(&session.insert, &[&id, &seed]).await?;
            one("insert", rows)?;
            ledger.inserted(case, id, seed, is_new);
        }
        10..15 => {
            one("delete", session.client.execute(&session.delete, &[&id]).await?)?;
            ledger.deleted(id, place);
        }
        15..40 => {
            let seeds = ledger.seeds(id);
            let mut values: Vec<&(dyn ToSql + Sync)> = vec![&id];
            values.extend(seeds.iter().map(|seed| seed as &(dyn ToSql + Sync)));
            let rows = session.client.query(&session.select, &values).await?;
            let rows = u64::try_from(rows.len()).unwrap();
            one(&format!("select (seeds {seeds:?})"), rows)?;
        }
        // A column that no migration touches.
        40..55 => {
            let update = session.updates[0].as_ref().unwrap();
            one("update", session.client.execute(update, &[&id, &seed]).await?)?;
            ledger.updated(case, id, 0, seed, is_new);
        }
        // Two rows in one transaction.
        55..65 => {
            let other =
                ledger.alive[usize::try_from(random.below(ledger.alive.len() as u64)).unwrap()];
            let (first, second) = (field(session, random), field(session, random));
            session.client.batch_execute("begin").await?;
            for (id, at, seed) in [(id, first, seed), (other, second, seed + 1)] {
                let update = session.updates[at].as_ref().unwrap();
                one("update", session.client.execute(update, &[&id, &seed]).await?)?;
            }
            session.client.batch_execute("commit").await?;
            ledger.updated(case, id, first, seed, is_new);
            ledger.updated(case, other, second, seed + 1, is_new);
        }
        _ => {
            let at = field(session, random);
            let update = session.updates[at].as_ref().unwrap();
            one("update", session.client.execute(update, &[&id, &seed]).await?)?;
            ledger.updated(case, id, at, seed, is_new);
        }
    }
    Ok(())
}

/// One that the version has.
fn field(session: &Session, random: &mut Random) -> usize {
    let has = (0..session.updates.len()).filter(|at| session.updates[*at].is_some());
    let has = has.collect::<Vec<_>>();
    has[usize::try_from(random.below(has.len() as u64)).unwrap()]
}
