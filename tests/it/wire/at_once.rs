//! Queries that are asked at once.

use backlot::pg::Session;

use super::info;
use crate::support::{database, database::block_on, servers};

/// The answers come in one packet: which of them is looked at first must not matter.
#[test]
fn each_query_has_its_rows_or_the_error_is_that_of_the_one_that_failed_of_itself() {
    for cluster in servers() {
        let database = database(cluster, "at_once");
        block_on(async {
            let session = Session::connect(&info(&database), "backlot test").await.unwrap();
            for _ in 0..50 {
                session.execute_all("begin").await.unwrap();
                let queries = ["select 1", "select 1", "select 1 / 0", "select 1", "select 1"];
                let failed = session.query_at_once(queries).await.unwrap_err();
                assert_eq!(failed.sqlstate(), Some("22012"));
                session.execute_all("rollback").await.unwrap();
            }
            // Each has rows of its own.
            let queries =
                ["select 1", "select 2 where false", "select 3 from generate_series(1, 2)"];
            let rows = session.query_at_once(queries).await.unwrap();
            let rows = rows.map(|rows| rows.iter().map(|row| row.get(0)).collect::<Vec<i32>>());
            assert_eq!(rows, [vec![1], vec![], vec![3, 3]]);
        });
    }
}
