//! Limits that a database or a role sets for its sessions.

use backlot::pg::{Session, Wire};

use super::info;
use crate::support::{database, database::block_on, query_value, servers, sql};

const LIMITS: &str = "select string_agg(setting, ' ' order by name) from pg_settings where name in
    ('idle_in_transaction_session_timeout', 'idle_session_timeout', 'statement_timeout', 'transaction_timeout')";

#[test]
fn no_limit_of_a_database_cuts_a_session_of_ours() {
    for cluster in servers() {
        let database = database(cluster, "limits");
        let mut names = vec![
            "idle_in_transaction_session_timeout",
            "idle_session_timeout",
            "statement_timeout",
        ];
        names.extend((cluster.major >= 17).then_some("transaction_timeout"));
        for name in &names {
            sql(&database, &format!("alter database \"{}\" set {name} = '7min'", database.name));
        }
        assert_eq!(query_value(&database, LIMITS), vec!["420000"; names.len()].join(" "));
        let none = vec!["0"; names.len()].join(" ");
        let control = block_on(async {
            let session = Session::connect(&info(&database), "backlot test").await.unwrap();
            session.query_one(LIMITS, &[]).await.unwrap().get::<_, String>(0)
        });
        assert_eq!(control, none);
        let mut wire = Wire::connect(&info(&database), "backlot test").unwrap();
        assert_eq!(wire.column(LIMITS).unwrap(), [none]);
    }
}
