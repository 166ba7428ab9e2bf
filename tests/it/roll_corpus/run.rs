//! Runs a case: start, rollback, start again, complete, with what each version sees in between.

use std::{collections::HashMap, error::Error as _, sync::Mutex, time::Duration};

use backlot::{
    ddl::Patience,
    migrate::{file, file::Migration},
    pg::ConnInfo,
    roll::{self, Backfilling, Options, Progress, Request, Roll, RollError, Scrutiny},
};
use tokio_postgres::Client;

use super::{
    case::{Action, Case, Expected, File, Refusal, Step},
    database::{difference, empty, is_there, must, picture, quoted, run, set_path},
};
use crate::support::{
    Cluster,
    database::{block_on, connect, run as run_on},
    wait_for,
};

/// A new database is made of a template that nobody is connected to: who was a moment ago may
/// still be on the way out.
const TEMPLATE_IS_FREE: Duration = Duration::from_mins(1);

/// The name of the migration that runs `setup`.
const SETUP: &str = "00_setup";

/// Runs cases of a file and gives what went wrong.
pub(super) fn run_file(
    cluster: &'static Cluster,
    name: &str,
    file: &File,
    is_tried: impl Fn(&Case) -> bool,
) -> Vec<String> {
    let mut templates = Templates { cluster, file, made: HashMap::new(), refusals: HashMap::new() };
    let mut failures = Vec::new();
    for case in file.cases.iter().filter(|case| is_tried(case)) {
        if let Err(failure) = templates.run(case) {
            let major = cluster.major;
            failures.push(format!("{name}.yaml, {:?}, PostgreSQL {major}: {failure}", case.name));
        }
    }
    failures
}

/// Databases with a file's common beginning, by the schema that is migrated.
struct Templates<'a> {
    cluster: &'static Cluster,
    file: &'a File,
    made: HashMap<String, String>,
    /// Where migrations that are refused are tried.
    refusals: HashMap<String, String>,
}

impl Templates<'_> {
    fn run(&mut self, case: &Case) -> Result<(), String> {
        let last = case.migrations.last().map_or("", String::as_str);
        let named = format!("{:02}.yaml", case.migrations.len());
        let migration = match (file::read(last, &named), &case.error) {
            (Ok(file), _) => file.migration,
            (Err(mistakes), Some(refusal)) => return mistaken(&mistakes, refusal),
            (Err(mistakes), None) => return Err(format!("{mistakes:?}")),
        };
        let own = case.setup.as_deref();
        let template = match own {
            Some(_) => base(self.cluster),
            None => self.template(&case.schema)?,
        };
        // A migration that is refused changes nothing, which is looked at each time.
        let is_shared = case.error.is_some() && own.is_none() && case.migrations.len() == 1;
        let name = match (is_shared, self.refusals.get(&case.schema)) {
            (true, Some(name)) => name.clone(),
            (true, None) => {
                let name = create(self.cluster, &template);
                self.refusals.insert(case.schema.clone(), name.clone());
                name
            }
            (false, _) => create(self.cluster, &template),
        };
        let data = case.data.as_ref().or(self.file.data.as_ref().filter(|_| own.is_none()));
        let has_setup = own.or(self.file.setup.as_deref()).is_some_and(|sql| !sql.is_empty());
        let bench = Bench {
            case,
            data: data.map_or("", String::as_str),
            options: options(&self.cluster.url(&name), &case.schema),
            before: if case.migrations.len() > 1 {
                Some(format!("{}_{:02}", case.schema, case.migrations.len() - 1))
            } else {
                has_setup.then(|| format!("{}_{SETUP}", case.schema))
            },
            after: format!("{}_{}", case.schema, migration.version()),
            migration,
        };
        block_on(async {
            if let Some(own) = own {
                set_up(&self.cluster.url(&name), &bench.options, own).await?;
            }
            bench.run(&self.cluster.url(&name)).await
        })?;
        if is_shared {
            return Ok(());
        }
        // A failed case's database stays, to be looked at.
        run_on(&self.cluster.url("postgres"), &format!("drop database {name} with (force)"))
            .map(drop)
            .map_err(|error| error.to_string())
    }

    fn template(&mut self, schema: &str) -> Result<String, String> {
        let Some(setup) = &self.file.setup else { return Ok(base(self.cluster)) };
        if let Some(name) = self.made.get(schema) {
            return Ok(name.clone());
        }
        let name = create(self.cluster, &base(self.cluster));
        let url = self.cluster.url(&name);
        block_on(set_up(&url, &options(&url, schema), setup))?;
        self.made.insert(schema.to_owned(), name.clone());
        Ok(name)
    }
}

/// A database in which `init` has run.
fn base(cluster: &'static Cluster) -> String {
    static BASES: Mutex<Vec<(u32, String)>> = Mutex::new(Vec::new());
    let mut bases = BASES.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some((_, name)) = bases.iter().find(|(major, _)| *major == cluster.major) {
        return name.clone();
    }
    let name = crate::support::database(cluster, "corpus").name;
    block_on(Roll::init(options(&cluster.url(&name), "public"))).unwrap();
    bases.push((cluster.major, name.clone()));
    name
}

fn create(cluster: &Cluster, template: &str) -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static SERIAL: AtomicU32 = AtomicU32::new(0);
    let name = format!("corpus_{}", SERIAL.fetch_add(1, Ordering::Relaxed));
    // Without the checkpoints that copying files takes.
    let create = format!("create database {name} template {} strategy wal_log", quoted(template));
    wait_for("the template to be free", TEMPLATE_IS_FREE, || {
        run_on(&cluster.url("postgres"), &create).is_ok()
    });
    name
}

fn options(url: &str, schema: &str) -> Options {
    Options {
        server: ConnInfo::parse(url).unwrap(),
        schema: schema.to_owned(),
        state_schema: "pgroll".to_owned(),
        role: None,
        patience: Patience::default(),
        backfill: Backfilling::default(),
    }
}

/// The first version: what `setup` makes.
async fn set_up(url: &str, options: &Options, setup: &str) -> Result<(), String> {
    let sql = file::read(
        &serde_json::json!({"operations": [{"sql": {"up": setup}}]}).to_string(),
        &format!("{SETUP}.json"),
    );
    if options.schema != "public" {
        let client = connect(url).await.map_err(|error| error.to_string())?;
        must(&client, &format!("create schema if not exists {}", quoted(&options.schema))).await?;
    }
    if setup.is_empty() {
        return Ok(());
    }
    let migration = sql.map_err(|mistakes| format!("setup: {mistakes:?}"))?.migration;
    start(options, &migration).await.map_err(|error| format!("setup: {}", whole(&error)))?;
    complete(options).await.map_err(|error| format!("setup: {}", whole(&error)))
}

async fn start(options: &Options, migration: &Migration) -> Result<(), RollError> {
    let mut roll = Roll::lock(options.clone()).await?;
    roll::start(&mut roll, request(migration), &Progress::default()).await.map(drop)
}

async fn complete(options: &Options) -> Result<(), RollError> {
    let mut roll = Roll::lock(options.clone()).await?;
    roll::complete(&mut roll, &Progress::default()).await.map(drop)
}

async fn rollback(options: &Options) -> Result<(), RollError> {
    let mut roll = Roll::lock(options.clone()).await?;
    roll::rollback(&mut roll, false, &Progress::default()).await.map(drop)
}

fn request(migration: &Migration) -> Request<'_> {
    Request { migration, has_views: true, scrutiny: Scrutiny::Full }
}

/// The error with everything below it, and what was found.
fn whole(error: &RollError) -> String {
    let mut text = error.to_string();
    if let RollError::Invalid { findings, .. } = error {
        text.push_str(&listed(findings.iter().map(|finding| format!("{finding:?}"))));
    }
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}

fn listed(lines: impl Iterator<Item = impl std::fmt::Display>) -> String {
    lines.fold(String::new(), |text, line| format!("{text}\n  {line}"))
}

/// What is wrong with a file is found without a database.
fn mistaken(mistakes: &[file::Mistake], refusal: &Refusal) -> Result<(), String> {
    let fits = |mistake: &&file::Mistake| {
        let said = &mistake.diagnostic;
        let place = format!("{}:{}", said.line, said.column);
        mistake.kind == refusal.kind
            && refusal.place.as_ref().is_none_or(|wanted| *wanted == place)
            && refusal.says.as_ref().is_none_or(|wanted| said.message.contains(wanted))
            && [&refusal.table, &refusal.column, &refusal.name, &refusal.field]
                .iter()
                .all(|one| one.is_none())
            && refusal.offset.is_none()
    };
    if mistakes.iter().any(|mistake| fits(&mistake)) {
        return Ok(());
    }
    let found = listed(mistakes.iter().map(|one| format!("{:?} {one}", one.kind)));
    Err(format!("expected {refusal:?}, found{found}"))
}

/// One case on its database.
struct Bench<'a> {
    case: &'a Case,
    data: &'a str,
    options: Options,
    migration: Migration,
    /// The version schemas.
    before: Option<String>,
    after: String,
}

impl Bench<'_> {
    async fn run(&self, url: &str) -> Result<(), String> {
        let client = connect(url).await.map_err(|error| error.to_string())?;
        self.prepare(&client).await?;
        let before = picture(&client).await?;
        if let Some(refusal) = &self.case.error {
            self.refused(refusal).await?;
            return difference(&before, &picture(&client).await?)
                .map_err(|text| format!("a refused migration changed the schema:{text}"));
        }
        let case = self.case;
        match (self.start().await, &case.start_fails) {
            (Ok(()), None) => (),
            (Err(error), None) => return Err(format!("start: {}", whole(&error))),
            (Ok(()), Some(state)) => return Err(format!("start did not fail with {state}")),
            (Err(error), Some(state)) => {
                failed_with(&error, state)?;
                self.steps(&client, "after_rollback", &case.after_rollback).await?;
                return self.taken_back(&client, &before).await;
            }
        }
        self.steps(&client, "after_start", &case.after_start).await?;
        rollback(&self.options).await.map_err(|error| format!("rollback: {}", whole(&error)))?;
        self.steps(&client, "after_rollback", &case.after_rollback).await?;
        self.taken_back(&client, &before).await?;
        self.fill(&client).await?;
        self.start().await.map_err(|error| format!("second start: {}", whole(&error)))?;
        self.steps(&client, "after_start, again", &case.after_start).await?;
        complete(&self.options).await.map_err(|error| format!("complete: {}", whole(&error)))?;
        self.steps(&client, "after_complete", &case.after_complete).await?;
        self.completed(&client).await
    }

    async fn start(&self) -> Result<(), RollError> {
        start(&self.options, &self.migration).await
    }

    /// The earlier migrations, the rows, the steps before.
    async fn prepare(&self, client: &Client) -> Result<(), String> {
        let last = self.case.migrations.len() - 1;
        for (name, text) in self.case.named().take(last) {
            let read = file::read(text, &format!("{name}.yaml"));
            let migration = read.map_err(|mistakes| format!("{name}: {mistakes:?}"))?.migration;
            let failed = |error: RollError| format!("{name}: {}", whole(&error));
            start(&self.options, &migration).await.map_err(failed)?;
            complete(&self.options).await.map_err(failed)?;
        }
        self.fill(client).await?;
        self.steps(client, "before", &self.case.before).await
    }

    /// The rows of the case and no others.
    async fn fill(&self, client: &Client) -> Result<(), String> {
        set_path(client, "pg_catalog").await?;
        empty(client, &self.options.schema).await?;
        set_path(client, &self.options.schema).await?;
        must(client, self.data).await.map(drop).map_err(|error| format!("data: {error}"))
    }

    async fn steps(&self, client: &Client, phase: &str, steps: &[Step]) -> Result<(), String> {
        for (at, step) in steps.iter().enumerate() {
            self.step(client, step).await.map_err(|error| format!("{phase}[{at}]: {error}"))?;
        }
        Ok(())
    }

    async fn step(&self, client: &Client, step: &Step) -> Result<(), String> {
        let old = || self.before.as_deref().ok_or("there is no old version");
        let (schema, text) = match &step.action {
            Action::Old(text) => (old()?, text),
            Action::New(text) => (self.after.as_str(), text),
            Action::Sql(text) => (self.options.schema.as_str(), text),
            Action::Has(objects, wanted) => {
                for object in objects {
                    let schema = match object.of.as_str() {
                        "old" => old()?,
                        "new" => &self.after,
                        _ => &self.options.schema,
                    };
                    if is_there(client, schema, object).await? != *wanted {
                        let words = if *wanted { "is not there" } else { "is there" };
                        return Err(format!("{}.{} {words}", object.of, object.name));
                    }
                }
                return Ok(());
            }
        };
        set_path(client, schema).await?;
        match (run(client, text).await, &step.expected) {
            (Ok(_), Expected::Success) => Ok(()),
            (Ok(rows), Expected::Rows(wanted)) if rows == *wanted => Ok(()),
            (Ok(rows), Expected::Rows(wanted)) => {
                Err(format!("{text}\n  expected {wanted:?}\n  found    {rows:?}"))
            }
            (Ok(_), Expected::Failure(state)) => {
                Err(format!("{text}\n  did not fail with {state}"))
            }
            (Err((code, _)), Expected::Failure(state)) if code == *state => Ok(()),
            (Err((code, said)), _) => Err(format!("{text}\n  failed: {code}: {said}")),
        }
    }

    /// Nothing of the migration is left, and the schema is what it was.
    async fn taken_back(&self, client: &Client, before: &[String]) -> Result<(), String> {
        difference(before, &picture(client).await?)
            .map_err(|text| format!("the rollback left a difference:{text}"))?;
        let active = must(client, "select name from pgroll.migrations where not done").await?;
        if active.is_empty() { Ok(()) } else { Err(format!("{active:?} is still active")) }
    }

    /// Only the new version is left, and nothing of what led there.
    async fn completed(&self, client: &Client) -> Result<(), String> {
        let after = picture(client).await?;
        let left = after.iter().filter(|line| line.contains("_pgroll") || line.contains("backlot"));
        let left = listed(left);
        if !left.is_empty() {
            return Err(format!("complete left{left}"));
        }
        let is_version =
            |schema: &str| after.iter().any(|line| line.starts_with(&format!("schema {schema} ")));
        if self.before.as_ref().is_some_and(|before| is_version(before)) {
            return Err("the old version is still there".to_owned());
        }
        if !is_version(&self.after) {
            return Err(format!("there is no schema {}", self.after));
        }
        let invalid =
            must(client, "select indexrelid::regclass from pg_index where not indisvalid").await?;
        if !invalid.is_empty() {
            return Err(format!("invalid indexes: {invalid:?}"));
        }
        let journal = "select (select count(*) from pgroll.backlot_run) + (select count(*) from pgroll.backlot_step)
            + (select count(*) from pgroll.backlot_backfill) + (select count(*) from pgroll.migrations where not done)";
        let rows = must(client, journal).await?;
        if rows == ["0"] { Ok(()) } else { Err(format!("the journal still has {rows:?} rows")) }
    }

    async fn refused(&self, refusal: &Refusal) -> Result<(), String> {
        let mut roll = Roll::open(self.options.clone()).await.map_err(|error| whole(&error))?;
        let validated = roll::prepare(&mut roll, request(&self.migration)).await.map(drop);
        drop(roll);
        for (verb, result) in [("validate", validated), ("start", self.start().await)] {
            match result {
                Ok(()) => return Err(format!("{verb} found nothing wrong, expected {refusal:?}")),
                Err(RollError::Invalid { findings, .. }) => {
                    if !findings.iter().any(|finding| fits(finding, refusal)) {
                        let found = listed(findings.iter().map(|one| format!("{one:?}")));
                        return Err(format!("{verb}: expected {refusal:?}, found{found}"));
                    }
                }
                Err(error) => return Err(format!("{verb}: {}", whole(&error))),
            }
        }
        Ok(())
    }
}

fn fits(finding: &backlot::migrate::plan::Finding, refusal: &Refusal) -> bool {
    let is = |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
    let place = finding.position.as_ref();
    finding.kind == refusal.kind
        && is(&refusal.table, &finding.table)
        && is(&refusal.column, &finding.column)
        && is(&refusal.name, &finding.name)
        && is(&refusal.field, &finding.field)
        && refusal.offset.is_none_or(|offset| place.is_some_and(|place| place.offset == offset))
        && refusal.says.as_ref().is_none_or(|wanted| finding.message.contains(wanted))
        && refusal.place.is_none()
}

fn failed_with(error: &RollError, state: &str) -> Result<(), String> {
    let RollError::RolledBack { source, .. } = error else {
        return Err(format!("start was not rolled back: {}", whole(error)));
    };
    let mut server = None;
    if let RollError::Step(error) = source.as_ref() {
        server = error.server();
    }
    if let RollError::Backfill { source, .. } = source.as_ref() {
        server = Some(source);
    }
    match server.and_then(|error| error.sqlstate()) {
        Some(found) if found == state => Ok(()),
        _ => Err(format!("start did not fail with {state}: {}", whole(error))),
    }
}
