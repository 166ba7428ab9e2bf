//! The source.

use super::super::error::CloneError;
use super::{DoctorOptions, Findings};
use crate::catalog::{self, Catalog, RelationKind, TableId};
use crate::pg::{ConnInfo, Error, Ident, Literal, Oid, Replication, Session};
use crate::source::blockers;
use crate::source::publication::{
    Following, PublicationNames, RelationIdentity, check_named, plan_publications,
    relation_identities, statements,
};
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::Row;

const SETTINGS: &str = include_str!("../sql/doctor_source.sql");
const SLOTS: &str = include_str!("../sql/doctor_slots.sql");
const PUBLISHED: &str = include_str!("../sql/doctor_published.sql");

const OLDEST_MAJOR: i32 = 14;
const STANDBY_MAJOR: i32 = 16;

type Identities = BTreeMap<Oid, RelationIdentity>;

pub(super) async fn examine(
    session: &Session,
    info: &ConnInfo,
    options: &DoctorOptions,
    selected: &impl Fn(&Catalog) -> BTreeSet<TableId>,
    findings: &mut Findings,
) -> Result<(), CloneError> {
    let failed = || CloneError::query("examine the source");
    let row = session.query_one(SETTINGS, &[]).await.map_err(Error::from).map_err(failed())?;
    settings(&row, findings);
    replication(info, &row, findings).await?;
    let catalog = catalog::load(session).await.map_err(failed())?;
    let copied = selected(&catalog);
    readable(session, &catalog, &copied, &row, findings).await.map_err(failed())?;
    let identities = relation_identities(session, &catalog).await.map_err(failed())?;
    if options.publications.is_empty() {
        own_publications(&catalog, &copied, &identities, &row, findings);
    } else {
        let names = options.publications.iter().map(|name| name.value.clone()).collect::<Vec<_>>();
        let checked = check_named(session, &names, &catalog, &copied, &identities).await;
        match checked.map_err(failed())? {
            Ok(_) => findings.good("publications", format!("{} will do", names.join(", "))),
            Err(problems) => {
                for problem in problems {
                    findings.error("publications", problem.message, problem.fix);
                }
            }
        }
    }
    already_broken(session, &catalog, &identities, findings).await.map_err(failed())?;
    let blockers = blockers(session).await.map_err(failed())?;
    if !blockers.is_empty() {
        let what = format!("a new slot would wait now for {}", blockers.join(", "));
        findings.warning(
            "transactions",
            what,
            "wait for them, or select pg_terminate_backend(pid)",
        );
    }
    slots(session, findings).await.map_err(failed())
}

fn settings(row: &Row, findings: &mut Findings) {
    let major: i32 = row.get("major");
    if major < OLDEST_MAJOR {
        let what = format!("PostgreSQL {major}: at least {OLDEST_MAJOR} is needed");
        findings.error("version", what, "upgrade the source");
    } else {
        findings.good("version", format!("PostgreSQL {major}"));
    }
    match row.get("wal_level") {
        "logical" => findings.good("wal_level", "wal_level is logical"),
        other => findings.error(
            "wal_level",
            format!("wal_level is {other}"),
            "alter system set wal_level = logical; then restart the source",
        ),
    }
    if row.get("is_standby") && major < STANDBY_MAJOR {
        findings.error("standby", "a standby decodes from PostgreSQL 16 on", "follow the primary");
    }
    for (id, what, most, used) in [
        ("max_replication_slots", "replication slots", "max_slots", "slots"),
        ("max_wal_senders", "WAL senders", "max_senders", "senders"),
    ] {
        let (most, used): (i64, i64) = (row.get(most), row.get(used));
        if used >= most {
            let what = format!("all {most} {what} are in use");
            let fix = format!("alter system set {id} = {}; then restart the source", most + 5);
            findings.error(id, what, fix);
        } else {
            findings.good(id, format!("{} of {most} {what} are free", most - used));
        }
    }
    if row.get::<_, &str>("keep_size") == "-1" {
        findings.warning(
            "max_slot_wal_keep_size",
            "a stream that stands still keeps WAL until the source's disk is full",
            "alter system set max_slot_wal_keep_size = '100GB'; select pg_reload_conf(); \
             with a size that the disk has room for",
        );
    }
    if !row.get::<_, bool>("reads_stats") {
        findings.warning(
            "pg_read_all_stats",
            "the role does not see what other sessions do: transactions in the way are named without their age",
            format!("grant pg_read_all_stats to {}", Ident(row.get("role"))),
        );
    }
}

/// Not by looking at `pg_hba.conf` and attributes: by doing it. Managed servers grant it in ways of
/// their own.
async fn replication(
    info: &ConnInfo,
    row: &Row,
    findings: &mut Findings,
) -> Result<(), CloneError> {
    let walsender = info.clone();
    let answer = tokio::task::spawn_blocking(move || {
        Replication::connect(&walsender, "backlot doctor")?.identify_system()
    });
    let role = Ident(row.get("role"));
    match answer.await.map_err(|_| CloneError::Panicked)? {
        Ok(_) => findings.good("replication", "the role may open replication connections"),
        Err(_) if !row.get::<_, bool>("may_replicate") => findings.privilege(
            "replication",
            format!("role {role} lacks REPLICATION"),
            format!("alter role {role} replication"),
        ),
        Err(error) if error.is_authentication() => findings.privilege(
            "replication",
            format!("the source refuses replication connections: {error}"),
            format!(
                "let pg_hba.conf admit {role} to database {} from here; then select pg_reload_conf()",
                Ident(row.get("database"))
            ),
        ),
        Err(error) => findings.error(
            "replication",
            format!("no replication connection: {error}"),
            "see the source's log",
        ),
    }
    Ok(())
}

async fn readable(
    session: &Session,
    catalog: &Catalog,
    copied: &BTreeSet<TableId>,
    row: &Row,
    findings: &mut Findings,
) -> Result<(), Error> {
    let role = Ident(row.get("role"));
    let tables = copied.iter().map(|id| catalog.table(*id)).collect::<Vec<_>>();
    let schemas = tables.iter().map(|table| table.name.schema.as_str()).collect::<BTreeSet<_>>();
    let schemas = schemas.into_iter().collect::<Vec<_>>();
    let sql = "select s from pg_catalog.unnest($1::text[]) s \
               where not pg_catalog.has_schema_privilege(s, 'usage')";
    for schema in session.query(sql, &[&schemas]).await? {
        let name: &str = schema.get(0);
        let fix = format!("grant usage on schema {} to {role}", Ident(name));
        findings.privilege("usage", format!("the role may not use schema {name}"), fix);
    }
    let unreadable = tables.iter().filter(|table| !table.is_readable).collect::<Vec<_>>();
    if unreadable.is_empty() {
        findings.good("select", format!("all {} tables can be read", tables.len()));
    } else {
        let shown = unreadable.iter().map(|table| table.name.to_string()).collect::<Vec<_>>();
        let listed = unreadable.iter().map(|table| table.name.sql()).collect::<Vec<_>>();
        let fix = format!("grant select on {} to {role}", listed.join(", "));
        findings.privilege("select", format!("the role may not read {}", shown.join(", ")), fix);
    }
    let guarded = tables.iter().filter(|table| table.row_security).map(|table| table.oid.0);
    let guarded = guarded.collect::<Vec<_>>();
    let sql = "select o.oid::pg_catalog.regclass::text from pg_catalog.unnest($1::pg_catalog.oid[]) o(oid) \
               where pg_catalog.row_security_active(o.oid)";
    for table in session.query(sql, &[&guarded]).await? {
        let what = format!("a policy hides rows of {} from the role", table.get::<_, &str>(0));
        findings.privilege("row_security", what, format!("alter role {role} bypassrls"));
    }
    Ok(())
}

fn own_publications(
    catalog: &Catalog,
    copied: &BTreeSet<TableId>,
    identities: &Identities,
    row: &Row,
    findings: &mut Findings,
) {
    let role = Ident(row.get("role"));
    let plan = plan_publications(catalog, copied, identities);
    for table in &plan.tables {
        let name = table.name.sql();
        match &table.following {
            Following::Whole => {}
            Following::InsertOnly { reason } => findings.warning(
                "replica_identity",
                format!("{}: only INSERT and TRUNCATE can be followed ({reason})", table.name),
                format!("add a primary key, or alter table {name} replica identity full"),
            ),
            Following::Not { reason } => findings.warning(
                "not_followed",
                format!("{} is copied and not followed ({reason})", table.name),
                format!("alter table {name} set logged, or exclude it"),
            ),
        }
    }
    let published = plan.whole.iter().chain(&plan.insert_only).collect::<BTreeSet<_>>();
    let foreign = published
        .into_iter()
        .filter(|published| identities.get(&published.oid).is_some_and(|found| !found.is_owned))
        .map(|published| published.name.to_string())
        .collect::<Vec<_>>();
    let may_create: bool = row.get("may_create");
    if may_create && foreign.is_empty() {
        findings.good("publications", "the role may publish the tables");
        return;
    }
    let names = PublicationNames { whole: "backlot".into(), insert_only: "backlot_insert".into() };
    let by_owner = format!(
        "let an owner run `{};` and write `publications: [{}]` into the configuration",
        statements(&names, &plan).join("; "),
        names.used(&plan).join(", ")
    );
    if !may_create {
        let database = Ident(row.get("database"));
        let what = format!("role {role} may not create publications in database {database}");
        let fix = format!("grant create on database {database} to {role}; or {by_owner}");
        findings.privilege("create", what, fix);
    }
    if !foreign.is_empty() {
        let what = format!("role {role} does not own {}", foreign.join(", "));
        findings.privilege("ownership", what, by_owner);
    }
}

/// Tables whose own UPDATE fails already, whoever published them.
async fn already_broken(
    session: &Session,
    catalog: &Catalog,
    identities: &Identities,
    findings: &mut Findings,
) -> Result<(), Error> {
    for row in session.query(PUBLISHED, &[]).await? {
        let oid = Oid(row.get("oid"));
        let table = catalog.tables.iter().find(|table| table.oid == oid);
        let missing = identities.get(&oid).and_then(|identity| identity.missing.as_ref());
        let (Some(table), Some(reason)) = (table, missing) else { continue };
        if table.kind == RelationKind::Partitioned {
            continue;
        }
        let by: &str = row.get("publications");
        let what = format!(
            "UPDATE and DELETE of {} fail on the source already: {by} publishes them, and it has no replica identity ({reason})",
            table.name
        );
        let fix = format!("alter table {} replica identity full", table.name.sql());
        findings.warning("updates_fail", what, fix);
    }
    Ok(())
}

async fn slots(session: &Session, findings: &mut Findings) -> Result<(), Error> {
    for row in session.query(SLOTS, &[]).await? {
        let (name, is_active): (&str, bool) = (row.get("name"), row.get("active"));
        let status = row.get::<_, Option<&str>>("wal_status").unwrap_or("unknown");
        let kept = row.get::<_, Option<i64>>("kept_bytes").unwrap_or_default() / 1024 / 1024;
        let drop = format!(
            "start its stream again, or drop it if there is none: select pg_drop_replication_slot({})",
            Literal(name)
        );
        match status {
            "lost" => findings.warning("slot", format!("replication slot {name} is lost"), drop),
            "unreserved" => {
                let what = format!("replication slot {name} is about to be lost");
                findings.warning(
                    "slot",
                    what,
                    "raise max_slot_wal_keep_size, or let its stream catch up",
                );
            }
            _ if is_active => {
                findings.good(
                    "slot",
                    format!("replication slot {name} is read; it keeps {kept} MiB of WAL"),
                );
            }
            _ => {
                let what =
                    format!("nobody reads replication slot {name}; it keeps {kept} MiB of WAL");
                findings.warning("slot", what, drop);
            }
        }
    }
    Ok(())
}
