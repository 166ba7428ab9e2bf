//! Is the target empty, and how to make one empty again that an interrupted run has filled.

use crate::pg::{Error, Ident, Literal, Session};

/// A user relation that stands in a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occupant {
    pub name: String,
    pub size_bytes: i64,
}

const OCCUPANTS: &str = "select n.nspname || '.' || c.relname, pg_catalog.pg_total_relation_size(c.oid) \
     from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
     where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') \
       and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'backlot') \
       and n.nspname not like 'pg\\_temp\\_%' and n.nspname not like 'pg\\_toast\\_temp\\_%' \
       and not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass \
                       and d.objid = c.oid and d.deptype = 'e') \
     order by 2 desc, 1 limit 20";

/// Up to 20 user relations of the target, largest first; none means that it is empty.
pub async fn occupants(session: &Session) -> Result<Vec<Occupant>, Error> {
    let rows = session.query(OCCUPANTS, &[]).await?;
    Ok(rows.iter().map(|row| Occupant { name: row.get(0), size_bytes: row.get(1) }).collect())
}

const SCHEMAS: &str = "select n.nspname::text from pg_catalog.pg_namespace n \
     where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'public', 'backlot') \
       and n.nspname not like 'pg\\_%' \
       and not exists (select from pg_catalog.pg_depend d \
                       where d.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass and d.objid = n.oid and d.deptype = 'e')";

const NEW_EXTENSIONS: &str =
    "select extname::text from pg_catalog.pg_extension where extname::text <> all ($1::text[])";

/// Objects that stand directly in schema public, as `DROP` statements, and those outside of all
/// schemas that are ours. Dropping one may take others along, so each statement is
/// `if exists … cascade`.
const OBJECTS: &str = include_str!("sql/objects.sql");

/// Takes away what an unfinished run made in a target that was empty before it. Only call it
/// when the journal proves that.
pub async fn reset(session: &Session, extensions_before: &[String]) -> Result<(), Error> {
    for row in session.query(SCHEMAS, &[]).await? {
        session
            .execute_all(&format!("drop schema if exists {} cascade", Ident(row.get(0))))
            .await?;
    }
    for row in session.query(OBJECTS, &[]).await? {
        session.execute_all(row.get(0)).await?;
    }
    for row in session.query(NEW_EXTENSIONS, &[&extensions_before]).await? {
        session
            .execute_all(&format!("drop extension if exists {} cascade", Ident(row.get(0))))
            .await?;
    }
    session.execute_all("drop schema if exists backlot cascade").await?;
    session
        .execute_all(&format!(
            "select pg_catalog.set_config('application_name', {}, false)",
            Literal("backlot")
        ))
        .await
}
