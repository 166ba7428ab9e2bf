//! What belongs to a database and not to what is in it: its owner, who may use it, and its
//! settings. `--replace` carries them over from the database that goes.
//!
//! Grants that a grantee has passed on come from the owner afterwards. Comment, tablespace and
//! connection limit are not carried over.

use crate::pg::{Error, Ident, Session, set_clause};

/// Owner, whether the access list is other than the default, and its entries: grantee (`NULL` is
/// PUBLIC), privilege, whether with grant option.
const OWNER: &str = "select r.rolname::text, d.datacl is not null from pg_catalog.pg_database d \
     join pg_catalog.pg_roles r on r.oid = d.datdba where d.datname = $1";

const GRANTS: &str = "select r.rolname::text, a.privilege_type::text, pg_catalog.bool_or(a.is_grantable) \
     from pg_catalog.pg_database d cross join lateral pg_catalog.aclexplode(d.datacl) a \
     left join pg_catalog.pg_roles r on r.oid = a.grantee \
     where d.datname = $1 and (a.grantee = 0 or r.rolname is not null) group by 1, 2 order by 1, 2";

/// Of all roles (`NULL`) or of one, as `name=value`.
const SETTINGS: &str = "select r.rolname::text, c.setting from pg_catalog.pg_db_role_setting s \
     join pg_catalog.pg_database d on d.oid = s.setdatabase \
     left join pg_catalog.pg_roles r on r.oid = s.setrole \
     cross join lateral pg_catalog.unnest(s.setconfig) with ordinality as c(setting, place) \
     where d.datname = $1 and (s.setrole = 0 or r.rolname is not null) order by 1 nulls first, c.place";

/// One statement, and what it is for, in words.
struct Step {
    what: String,
    statement: String,
}

/// Inside the session's transaction, gives `new` what `old` has. What the role may not give is
/// left out and said: one sentence each.
pub(super) async fn carry_over(
    session: &Session,
    old: &str,
    new: &str,
) -> Result<Vec<String>, Error> {
    let mut warnings = Vec::new();
    for step in steps(session, old, new).await? {
        session.execute_all("savepoint carry").await?;
        match session.execute_all(&step.statement).await {
            Ok(()) => {}
            Err(Error::Server(error)) => {
                session.execute_all("rollback to savepoint carry").await?;
                warnings
                    .push(format!("not carried over to the new database: {} ({error})", step.what));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(warnings)
}

/// The settings first: they may need the rights that the owner lacks.
async fn steps(session: &Session, old: &str, new: &str) -> Result<Vec<Step>, Error> {
    let mut steps = Vec::new();
    for row in session.query(SETTINGS, &[&old]).await? {
        let (role, setting): (Option<String>, String) = (row.get(0), row.get(1));
        steps.extend(set(role.as_deref(), &setting, new));
    }
    let row = session.query_one(OWNER, &[&old]).await?;
    let (owner, is_listed): (String, bool) = (row.get(0), row.get(1));
    steps.push(Step {
        what: format!("the owner {owner}"),
        statement: format!("alter database {} owner to {}", Ident(new), Ident(&owner)),
    });
    if !is_listed {
        return Ok(steps);
    }
    // Whoever may give the database away grants as its owner (`select_best_grantor`, acl.c).
    steps.push(Step {
        what: "what was revoked from the owner and PUBLIC".into(),
        statement: format!("revoke all on database {} from public, {}", Ident(new), Ident(&owner)),
    });
    for row in session.query(GRANTS, &[&old]).await? {
        let (role, privilege, is_grantable): (Option<String>, String, bool) =
            (row.get(0), row.get(1), row.get(2));
        let to = role.as_deref().map_or("public".to_owned(), |role| Ident(role).to_string());
        let option = if is_grantable { " with grant option" } else { "" };
        steps.push(Step {
            what: format!("{privilege} for {}", role.as_deref().unwrap_or("PUBLIC")),
            statement: format!("grant {privilege} on database {} to {to}{option}", Ident(new)),
        });
    }
    Ok(steps)
}

/// `name=value` as it stands in the catalog. Its value never gets into words.
fn set(role: Option<&str>, setting: &str, database: &str) -> Option<Step> {
    let (name, value) = setting.split_once('=')?;
    let (whose, who) = match role {
        Some(role) => (format!("role {} in ", Ident(role)), format!(" of {role}")),
        None => (String::new(), String::new()),
    };
    Some(Step {
        what: format!("the setting {name}{who}"),
        statement: format!("alter {whose}database {} {}", Ident(database), set_clause(name, value)),
    })
}

#[cfg(test)]
mod tests {
    use super::set;

    #[test]
    fn a_setting_is_written_as_it_was() {
        let statement =
            |role, setting| set(role, setting, "da\"ta").map(|step| step.statement).unwrap();
        assert_eq!(
            statement(None, "app.tenant=o'k=1"),
            r#"alter database "da""ta" set "app.tenant" to 'o''k=1'"#
        );
        assert_eq!(
            statement(Some("r"), r#"search_path="$user", public"#),
            r#"alter role "r" in database "da""ta" set "search_path" to '$user', 'public'"#
        );
        assert_eq!(
            statement(None, r#"search_path="""#),
            r#"alter database "da""ta" set "search_path" to ''"#
        );
    }
}
