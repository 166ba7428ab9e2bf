//! Runs a plan in its simplest form.

use crate::support::database::{block_on, connect};
use crate::support::{Cluster, Database, database, query_strings, try_sql};
use backlot::catalog::detail;
use backlot::migrate::file;
use backlot::migrate::model::Model;
use backlot::migrate::plan::{self, Finding, Mode, Plan, Step, Versions};
use backlot::pg::{ConnInfo, Session};

/// A database under migration.
pub(crate) struct Roll {
    pub(crate) database: Database,
    pub(crate) previous: Option<String>,
    pub(crate) plan: Option<Plan>,
}

impl Roll {
    /// A database with a schema, and a version `public_v0` over it.
    pub(crate) fn new(cluster: &'static Cluster, schema: &str) -> Self {
        let roll = Self { database: database(cluster, "plan"), previous: None, plan: None };
        roll.sql(schema);
        let mut roll = roll;
        let versions = Versions { previous: None, next: "public_v0".to_owned(), has_views: true };
        let views = plan::version_views(&roll.model(), &versions);
        roll.steps(&views);
        roll.previous = Some("public_v0".to_owned());
        roll
    }

    pub(crate) fn model(&self) -> Model {
        let url = self.database.url.clone();
        let detail = block_on(async move {
            let info = ConnInfo::parse(&url).unwrap();
            let session = Session::connect(&info, "backlot test").await.unwrap();
            detail::load(&session, "public").await.unwrap().unwrap()
        });
        Model::new(detail)
    }

    pub(crate) fn plan(&self, version: &str, operations: &str) -> Result<Plan, Vec<Finding>> {
        let text = format!("operations:\n{operations}");
        let migration = file::read(&text, &format!("{version}.yaml"))
            .unwrap_or_else(|mistakes| panic!("{mistakes:?}\n{text}"))
            .migration;
        let next = format!("public_{version}");
        let versions = Versions { previous: self.previous.clone(), next, has_views: true };
        plan::plan(&self.model(), &migration, &versions)
    }

    /// Start, up to the new version's views.
    pub(crate) fn start(&mut self, version: &str, operations: &str) {
        let plan =
            self.plan(version, operations).unwrap_or_else(|findings| panic!("{findings:#?}"));
        for check in &plan.checks {
            self.check(&check.sql).unwrap_or_else(|error| panic!("{error}\n{}", check.sql));
        }
        self.steps(&plan.start);
        for backfill in &plan.backfill {
            let set: Vec<String> = backfill
                .assignments
                .iter()
                .map(|one| format!("\"{}\" = {}", one.column, one.value))
                .collect();
            let only = backfill.only_where.as_ref().unwrap();
            self.sql(&format!(
                "update {} set {} where {only}",
                backfill.table.sql(),
                set.join(", ")
            ));
        }
        self.steps(&plan.validate);
        self.steps(&plan.views);
        self.plan = Some(plan);
    }

    pub(crate) fn complete(&mut self) {
        let plan = self.plan.take().unwrap();
        self.steps(&plan.complete);
        self.previous = Some(plan.version_schema);
    }

    pub(crate) fn rollback(&mut self) {
        let plan = self.plan.take().unwrap();
        self.steps(&plan.rollback);
    }

    pub(crate) fn check(&self, sql: &str) -> Result<(), tokio_postgres::Error> {
        let text = format!("begin; set local search_path = public; {sql}; rollback");
        try_sql(&self.database, &text)
    }

    pub(crate) fn steps(&self, steps: &[Step]) {
        for step in steps {
            let one = |text: &str| {
                if let Err(error) = try_sql(&self.database, text) {
                    panic!("{}: {error:?}\n{}", step.id, step.statements.join(";\n"));
                }
            };
            match &step.mode {
                Mode::Transaction | Mode::Script => one(&format!(
                    "begin; set local search_path = public; {}; commit",
                    step.statements.join(";\n")
                )),
                Mode::BuildIndex { .. } | Mode::DropIndex { .. } => {
                    step.statements.iter().for_each(|statement| one(statement));
                }
            }
        }
    }

    pub(crate) fn sql(&self, text: &str) {
        crate::support::sql(&self.database, text);
    }

    /// As an application of a version: its schema alone is on the path.
    pub(crate) fn as_version(&self, version: &str, text: &str) -> Vec<Vec<String>> {
        self.on_path(&format!("\"public_{version}\""), text)
            .unwrap_or_else(|error| panic!("{error:?}\n{text}"))
    }

    pub(crate) fn on_path(
        &self,
        path: &str,
        text: &str,
    ) -> Result<Vec<Vec<String>>, tokio_postgres::Error> {
        let url = self.database.url.clone();
        let set = format!("set search_path = {path}");
        let text = text.to_owned();
        block_on(async move {
            let client = connect(&url).await?;
            client.simple_query(&set).await?;
            let mut rows = Vec::new();
            for message in client.simple_query(&text).await? {
                if let tokio_postgres::SimpleQueryMessage::Row(row) = message {
                    let value = |at| row.get(at).unwrap_or("∅").to_owned();
                    rows.push((0..row.len()).map(value).collect());
                }
            }
            Ok(rows)
        })
    }

    /// SQLSTATE of what must fail.
    pub(crate) fn refused(&self, version: &str, text: &str) -> String {
        let error = self.on_path(&format!("\"public_{version}\""), text).unwrap_err();
        error.code().map(|code| code.code().to_owned()).unwrap_or_default()
    }

    /// Everything that a migration makes and must not leave.
    pub(crate) fn leftovers(&self) -> Vec<Vec<String>> {
        query_strings(
            &self.database,
            "select 'column', attrelid::regclass::text || '.' || attname from pg_attribute
               where attname like '\\_pgroll%' and not attisdropped
                 and attrelid not in (select indexrelid from pg_index)
             union all select 'relation', oid::regclass::text from pg_class where relname like '\\_pgroll%'
             union all select 'constraint', conname::text from pg_constraint where conname like '\\_pgroll%'
             union all select 'trigger', tgname::text from pg_trigger where tgname like '%\\_pgroll%'
             union all select 'function', proname::text from pg_proc where proname like '\\_pgroll%'
             order by 1, 2",
        )
    }

    pub(crate) fn rows(&self, query: &str) -> Vec<Vec<String>> {
        query_strings(&self.database, query)
    }
}

pub(crate) fn joined(rows: &[Vec<String>]) -> String {
    rows.iter().map(|row| row.join("|")).collect::<Vec<_>>().join("\n")
}
