//! The schema travels by `pg_dump` and `pg_restore`: they know PostgreSQL's objects better than
//! we ever will. What they print is cut down to the first line of each error: the rest
//! quotes statements and rows.

use super::complaint::messages;
use super::error::CloneError;
use super::options::{Options, Tools};
use super::toc::{Entry, entry};
use crate::catalog::RelationName;
use crate::pg::{ConnInfo, Error, Oid, Session};
use crate::transform::plan::{Plan, TableAction};
use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

const DEPENDENTS: &str = include_str!("sql/dependents.sql");
/// `application_name` of `pg_restore`'s sessions.
pub(super) const RESTORE_NAME: &str = "backlot restore";
/// Sessions of `pg_restore` build indexes with this much memory each.
const RESTORE_OPTIONS: &str =
    "-c maintenance_work_mem=512MB -c statement_timeout=0 -c synchronous_commit=off";

/// An archive of the schema in a directory of its own, removed with it.
pub(super) struct Archive {
    directory: ScratchDir,
    toc: Vec<Entry>,
}

struct ScratchDir(PathBuf);

impl Drop for ScratchDir {
    fn drop(&mut self) {
        // It lies in the system's temporary directory: left-overs are cleaned there.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Kinds of post-data entries that fail if the object is there already. All others can be
/// run again.
const NOT_REPEATABLE: &[&str] = &[
    "INDEX",
    "CONSTRAINT",
    "FK CONSTRAINT",
    "CHECK CONSTRAINT",
    "TRIGGER",
    "RULE",
    "POLICY",
    "STATISTICS",
    "EVENT TRIGGER",
    "PUBLICATION",
    "PUBLICATION TABLE",
    "PUBLICATION TABLES IN SCHEMA",
];
/// Objects that are left out because a table is.
#[derive(Default)]
pub(super) struct LeftOut {
    objects: HashSet<(Oid, Oid)>,
    relations: Vec<String>,
    /// Views and the like that depend on an excluded table, for the summary.
    pub(super) dependents: Vec<String>,
}

/// Finds what depends on the excluded tables.
///
/// # Errors
/// [`CloneError::Subset`] if a table that is copied depends on one that is not.
pub(super) async fn left_out(
    source: &Session,
    plan: &Plan,
    oids: &[(Oid, String)],
) -> Result<LeftOut, CloneError> {
    let excluded = plan
        .tables
        .iter()
        .filter(|table| table.action == TableAction::Exclude)
        .filter_map(|table| oids.get(table.table.0))
        .map(|(oid, _)| oid.0)
        .collect::<Vec<_>>();
    let mut left_out = LeftOut::default();
    if excluded.is_empty() {
        return Ok(left_out);
    }
    let rows = source
        .query(DEPENDENTS, &[&excluded])
        .await
        .map_err(|error| CloneError::query("find what depends on excluded tables")(error.into()))?;
    for row in rows {
        let object = (Oid(row.get("class")), Oid(row.get("object")));
        left_out.objects.insert(object);
        let Some(kind) = row.get::<_, Option<String>>("kind") else { continue };
        let (schema, name): (String, String) = (row.get("schema"), row.get("name"));
        let is_given = excluded.contains(&object.1.0);
        if matches!(kind.as_str(), "r" | "p" | "f") && !is_given {
            return Err(CloneError::Subset(format!(
                "table {schema}.{name} depends on an excluded table: exclude it too, or make that one schema_only"
            )));
        }
        if matches!(kind.as_str(), "r" | "p" | "f" | "v" | "m" | "S") {
            left_out.relations.push(RelationName::new(&schema, &name).sql());
            if !is_given && kind != "S" {
                left_out.dependents.push(format!("{schema}.{name}"));
            }
        }
    }
    Ok(left_out)
}

/// Dumps the schema as the snapshot sees it.
pub(super) async fn dump(
    options: &Options,
    snapshot_name: &str,
    left_out: &LeftOut,
) -> Result<Archive, CloneError> {
    let directory =
        scratch_dir().map_err(|source| CloneError::Tool { program: "mkdir".into(), source })?;
    let file = directory.0.join("schema.dump");
    let mut command = tool(&options.tools.pg_dump, &options.source, "backlot dump");
    command
        .args([
            "--format=custom",
            "--schema-only",
            "--no-subscriptions",
            "--no-tablespaces",
            "--no-security-labels",
        ])
        .args(["--exclude-schema=backlot", "--lock-wait-timeout=10s"])
        .arg(format!("--snapshot={snapshot_name}"))
        .arg(format!("--file={}", file.display()));
    for relation in &left_out.relations {
        command.arg(format!("--exclude-table={relation}"));
    }
    finish("pg_dump", "dumping the schema", command).await?;
    let toc = list(&options.tools, &file).await?;
    let toc = toc
        .into_iter()
        .filter(|entry| !left_out.objects.contains(&entry.object))
        // A user mapping holds a password, a subscription a connection string.
        .filter(|entry| {
            !matches!(entry.kind.as_str(), "USER MAPPING" | "SUBSCRIPTION" | "SUBSCRIPTION TABLE")
        })
        .collect();
    Ok(Archive { directory, toc })
}

/// Makes these tables of the source on the target, with all that hangs on them, in one
/// transaction. Extensions, types and functions that they need must be there.
pub(super) async fn carry_tables(
    (source, target): (&ConnInfo, &ConnInfo),
    tools: &Tools,
    tables: &[RelationName],
) -> Result<(), CloneError> {
    let directory =
        scratch_dir().map_err(|source| CloneError::Tool { program: "mkdir".into(), source })?;
    let file = directory.0.join("schema.dump");
    let mut dump = tool(&tools.pg_dump, source, "backlot dump");
    dump.args(["--format=custom", "--schema-only", "--no-tablespaces", "--no-security-labels"])
        .args(["--no-publications", "--lock-wait-timeout=10s"])
        .arg(format!("--file={}", file.display()))
        .args(tables.iter().map(|table| format!("--table={}", table.sql())));
    finish("pg_dump", "dumping the tables", dump).await?;
    let mut restore = tool(&tools.pg_restore, target, RESTORE_NAME);
    restore
        .env("PGOPTIONS", RESTORE_OPTIONS)
        .args(["--single-transaction", "--no-owner", "--no-privileges"])
        .arg(database_argument(target))
        .arg(&file);
    finish("pg_restore", "creating the tables", restore).await
}

fn database_argument(target: &ConnInfo) -> String {
    let name = target.dbname.replace('\\', "\\\\").replace('\'', "\\'");
    format!("--dbname=dbname='{name}'")
}

impl Archive {
    fn file(&self) -> PathBuf {
        self.directory.0.join("schema.dump")
    }

    pub(super) async fn restore_pre_data(
        &self,
        options: &Options,
        target: &ConnInfo,
    ) -> Result<(), CloneError> {
        let mut command = self.restore(options, target, &self.toc)?;
        command.arg("--section=pre-data");
        finish("pg_restore", "creating the tables", command).await
    }

    /// Indexes, constraints, triggers and the like, on `options.jobs` connections. What an
    /// interrupted run has made already is skipped.
    ///
    /// `pg_restore` keeps jobs apart that lock one table, but takes it that an index only shares
    /// it, and knows no table that an entry locks besides its own
    /// (`pg_backup_archiver.c`, `identify_locking_dependencies`). What would lock each other out
    /// is done one after the other.
    pub(super) async fn restore_post_data(
        &self,
        options: &Options,
        source: &Session,
        target: &ConnInfo,
        resumed: Option<&Session>,
    ) -> Result<(), CloneError> {
        let entries = self.toc.iter().filter(|entry| !entry.is_event_trigger);
        let missing = self.missing(entries.collect(), source, resumed).await?;
        let identities = replica_identities(source, &missing)
            .await
            .map_err(CloneError::query("find the indexes that identify rows"))?;
        // A key of a partitioned table can be referred to once all its partitions' indexes are
        // attached, which a parallel pg_restore does not wait for. Foreign keys may have comments.
        let is_late = |entry: &&Entry| matches!(entry.kind.as_str(), "FK CONSTRAINT" | "COMMENT");
        let (late, early) = missing.into_iter().partition::<Vec<_>, _>(is_late);
        // ATTACH PARTITION locks tables from the leaf up (a parent's index may become valid by it:
        // `validatePartitionedIndex`), a trigger of the root from the root down.
        let is_attached = |entry: &&Entry| entry.kind == "INDEX ATTACH";
        let (attached, early) = early.into_iter().partition::<Vec<_>, _>(is_attached);
        // Two indexes of a table are built beside each other. Who then makes one the replica
        // identity waits for the other, which waits for it if it is the one to CLUSTER ON.
        let is_identity = |entry: &&Entry| identities.contains(&entry.object.1);
        let (first, early) = early.into_iter().partition::<Vec<_>, _>(is_identity);
        let jobs = options.jobs.max(1);
        for (entries, jobs) in [(first, jobs), (early, jobs), (attached, 1), (late, jobs)] {
            if entries.is_empty() {
                continue;
            }
            let mut command = self.restore(options, target, entries)?;
            command.arg("--section=post-data").arg(format!("--jobs={jobs}"));
            finish("pg_restore", "building indexes and constraints", command).await?;
        }
        Ok(())
    }

    /// Event triggers, which would fire at whatever is changed after them (`pg_restore` by itself
    /// makes them last, too).
    pub(super) async fn restore_event_triggers(
        &self,
        options: &Options,
        source: &Session,
        target: &ConnInfo,
        resumed: Option<&Session>,
    ) -> Result<(), CloneError> {
        let entries = self.toc.iter().filter(|entry| entry.is_event_trigger).collect::<Vec<_>>();
        if entries.is_empty() {
            return Ok(());
        }
        let missing = self.missing(entries, source, resumed).await?;
        let mut command = self.restore(options, target, missing)?;
        command.arg("--section=post-data");
        finish("pg_restore", "creating event triggers", command).await
    }

    /// What an interrupted run has not made yet.
    async fn missing<'e>(
        &self,
        mut entries: Vec<&'e Entry>,
        source: &Session,
        resumed: Option<&Session>,
    ) -> Result<Vec<&'e Entry>, CloneError> {
        if let Some(session) = resumed {
            let doing = "see what the interrupted run has built";
            let there = already_there(&entries, source, session).await;
            let there = there.map_err(CloneError::query(doing))?;
            entries.retain(|entry| !there.contains(&entry.object));
        }
        Ok(entries)
    }

    fn restore<'e>(
        &self,
        options: &Options,
        target: &ConnInfo,
        entries: impl IntoIterator<Item = &'e Entry>,
    ) -> Result<Command, CloneError> {
        let list = entries.into_iter().fold(String::new(), |mut list, entry| {
            // Writing to a String cannot fail.
            let _ = writeln!(list, "{}", entry.line);
            list
        });
        let list_file = self.directory.0.join("restore.list");
        std::fs::write(&list_file, list)
            .map_err(|source| CloneError::Tool { program: "write restore.list".into(), source })?;
        let mut command = tool(&options.tools.pg_restore, target, RESTORE_NAME);
        command.env("PGOPTIONS", RESTORE_OPTIONS);
        command.arg(format!("--use-list={}", list_file.display()));
        command.arg(database_argument(target));
        if !options.with_owner {
            command.args(["--no-owner", "--no-privileges"]);
        }
        command.arg(self.file());
        Ok(command)
    }
}

/// The indexes among them that are their table's replica identity: at most one of a table.
async fn replica_identities(source: &Session, entries: &[&Entry]) -> Result<HashSet<Oid>, Error> {
    let indexes = entries.iter().filter(|entry| entry.kind == "INDEX");
    let indexes = indexes.map(|entry| entry.object.1.0).collect::<Vec<_>>();
    let sql =
        "select indexrelid from pg_catalog.pg_index where indisreplident and indexrelid = any ($1)";
    let rows = source.query(sql, &[&indexes]).await?;
    Ok(rows.iter().map(|row| Oid(row.get(0))).collect())
}

async fn already_there(
    entries: &[&Entry],
    source: &Session,
    target: &Session,
) -> Result<HashSet<(Oid, Oid)>, Error> {
    let mut there = HashSet::new();
    let identify = source
        .prepare("select type, object_names, object_args from pg_catalog.pg_identify_object_as_address($1, $2, 0)")
        .await?;
    let find = target.prepare("select 1 from pg_catalog.pg_get_object_address($1, $2, $3)").await?;
    for entry in entries.iter().filter(|entry| NOT_REPEATABLE.contains(&entry.kind.as_str())) {
        let row = source.query_one(&identify, &[&entry.object.0.0, &entry.object.1.0]).await?;
        // An object that was dropped since the snapshot has no address: pg_dump, which saw it
        // in the snapshot, restores it, and a second one of its name is an error that says so.
        let (Some(kind), Some(names), Some(args)) = (
            row.get::<_, Option<String>>(0),
            row.get::<_, Option<Vec<String>>>(1),
            row.get::<_, Option<Vec<String>>>(2),
        ) else {
            continue;
        };
        match target.query_one(&find, &[&kind, &names, &args]).await {
            Ok(_) => drop(there.insert(entry.object)),
            // The function raises an error for what does not exist.
            Err(error) if error.as_db_error().is_some() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(there)
}

fn scratch_dir() -> std::io::Result<ScratchDir> {
    use std::os::unix::fs::DirBuilderExt;
    let id = crate::random::random_bytes::<12>()?;
    let path = std::env::temp_dir().join(format!("backlot-{}", hex::encode(id)));
    std::fs::DirBuilder::new().mode(0o700).create(&path)?;
    Ok(ScratchDir(path))
}

fn tool(program: &Path, info: &ConnInfo, application_name: &str) -> Command {
    let mut command = Command::new(program);
    command.envs(info.libpq_env()).env("PGAPPNAME", application_name).env_remove("PGSERVICE");
    command
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn run(
    program: &'static str,
    mut command: Command,
) -> Result<std::process::Output, CloneError> {
    command.output().await.map_err(|source| CloneError::Tool { program: program.into(), source })
}

async fn finish(
    program: &'static str,
    doing: &'static str,
    command: Command,
) -> Result<(), CloneError> {
    let output = run(program, command).await?;
    if output.status.success() {
        return Ok(());
    }
    Err(CloneError::Schema {
        program,
        doing,
        messages: messages(&String::from_utf8_lossy(&output.stderr)),
    })
}

async fn list(tools: &Tools, file: &Path) -> Result<Vec<Entry>, CloneError> {
    let mut command = Command::new(&tools.pg_restore);
    command.arg("--list").arg(file).env("LC_ALL", "C").stdin(Stdio::null()).kill_on_drop(true);
    let output = run("pg_restore", command).await?;
    if !output.status.success() {
        let messages = messages(&String::from_utf8_lossy(&output.stderr));
        return Err(CloneError::Schema {
            program: "pg_restore",
            doing: "listing the schema",
            messages,
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(entry).collect())
}
