//! A database with the state schema, and plans for it.

use backlot::{
    catalog::RelationName,
    ddl::Patience,
    migrate::plan::{Assignment, Backfill, Cost, Key, Mode, Plan, Probe, Step},
    pg::ConnInfo,
    roll::{self, Backfilling, Begun, Named, Options, Progress, Roll, RollError},
    state::roll::Capture,
};
use std::time::Duration;

use crate::support::{Cluster, Database, database, database::block_on};

pub(super) struct Rig {
    pub(super) database: Database,
    pub(super) options: Options,
}

impl Rig {
    /// Before `init`.
    pub(super) fn bare(cluster: &'static Cluster, name: &str) -> Self {
        let database = database(cluster, name);
        let patience = Patience {
            lock_timeout: Duration::from_millis(200),
            attempts: 300,
            longest_pause: Duration::from_millis(200),
            ..Patience::default()
        };
        let options = Options {
            server: ConnInfo::parse(&database.url).unwrap(),
            schema: "public".to_owned(),
            state_schema: "pgroll".to_owned(),
            role: None,
            patience,
            backfill: Backfilling::default(),
        };
        Self { database, options }
    }

    pub(super) fn new(cluster: &'static Cluster, name: &str) -> Self {
        let rig = Self::bare(cluster, name);
        assert_eq!(rig.init(), Capture::Running);
        rig
    }

    pub(super) fn init(&self) -> Capture {
        block_on(Roll::init(self.options.clone())).unwrap()
    }

    pub(super) fn lock(&self) -> Result<Roll, RollError> {
        block_on(Roll::lock(self.options.clone()))
    }

    pub(super) fn start(&self, name: &str, plan: &Plan) -> Result<(), RollError> {
        let progress = Progress::default();
        block_on(async {
            let mut roll = Roll::lock(self.options.clone()).await?;
            let named = Named { name, document: r#"{"operations": []}"# };
            match roll::begin(&roll, named).await? {
                Begun::Anew => roll::go_on(&mut roll, named, plan, &progress).await,
                Begun::HalfWay(_) => roll::resume(&mut roll, &progress).await.map(drop),
            }
        })
    }

    pub(super) fn complete(&self) -> Result<String, RollError> {
        let progress = Progress::default();
        block_on(async {
            let mut roll = Roll::lock(self.options.clone()).await?;
            roll::complete(&mut roll, &progress).await.map(|ended| ended.name)
        })
    }

    pub(super) fn rollback(&self) -> Result<(), RollError> {
        let progress = Progress::default();
        block_on(async {
            let mut roll = Roll::lock(self.options.clone()).await?;
            roll::rollback(&mut roll, false, &progress).await.map(drop)
        })
    }
}

pub(super) fn step(id: &str, statements: &[&str]) -> Step {
    Step {
        id: id.to_owned(),
        operation: Some(0),
        statements: statements.iter().map(ToString::to_string).collect(),
        mode: Mode::Transaction,
        locks: Vec::new(),
        cost: Cost::Metadata,
        is_reversible: true,
        is_done: Probe(None),
        undo: Vec::new(),
    }
}

pub(super) fn index(id: &str, name: &str, statement: &str) -> Step {
    Step {
        mode: Mode::BuildIndex { index: RelationName::new("public", name), partition: None },
        ..step(id, &[statement])
    }
}

pub(super) fn plan() -> Plan {
    Plan {
        schema: "public".to_owned(),
        version_schema: "public_01".to_owned(),
        previous: None,
        checks: Vec::new(),
        start: Vec::new(),
        backfill: Vec::new(),
        validate: Vec::new(),
        views: Vec::new(),
        must_reload: false,
        must_refresh: false,
        complete: Vec::new(),
        rollback: Vec::new(),
    }
}

/// `b = a * 2` of table `t`, walked by `key`.
pub(super) fn doubling(key: Key) -> Backfill {
    let assignment =
        |column: &str, value: &str| Assignment { column: column.into(), value: value.into() };
    Backfill {
        id: "backfill/public.t".to_owned(),
        table: RelationName::new("public", "t"),
        assignments: vec![assignment("b", "a * 2"), assignment("todo", "false")],
        key,
        only_where: Some("todo".to_owned()),
        partitions: Vec::new(),
        trigger: "sync".to_owned(),
    }
}

/// Adds `b` to table `t` and fills it.
pub(super) fn add_doubled(key: Key) -> Plan {
    let add = "alter table public.t add column b int, add column todo boolean default true";
    let remove = "alter table public.t drop column if exists b, drop column if exists todo";
    Plan {
        start: vec![step("start/add", &[add])],
        backfill: vec![doubling(key)],
        views: vec![step(
            "views",
            &["create schema public_01", "create view public_01.t as select a, b from public.t"],
        )],
        complete: vec![Step {
            is_reversible: false,
            ..step("complete/swap", &["alter table public.t drop column todo"])
        }],
        rollback: vec![
            step("rollback/views", &["drop schema if exists public_01 cascade"]),
            step("rollback/remove", &[remove]),
        ],
        ..plan()
    }
}

pub(super) fn by(columns: &[&str]) -> Key {
    Key::Columns(columns.iter().map(ToString::to_string).collect())
}
