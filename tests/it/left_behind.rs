//! What a clone does not take along, it names.

use crate::support::{Clone, database, some_servers, sql};

#[test]
fn rows_that_somebody_added_to_an_extensions_table_are_counted_and_said() {
    for cluster in some_servers() {
        let source = database(cluster, "left_extension");
        // Only an extension's own script may call pg_extension_config_dump.
        sql(
            &source,
            "create schema geo; create table geo.systems (id int primary key); create table geo.own (id int);
             insert into geo.systems select generate_series(1, 7); insert into geo.own values (1);
             alter extension plpgsql add table geo.systems; alter extension plpgsql add table geo.own;
             update pg_extension set extconfig = array['geo.systems'::regclass::oid, 'geo.own'::regclass::oid],
                 extcondition = array['where id > 5', 'where id > 5'] where extname = 'plpgsql'",
        );
        let target = database(cluster, "left_extension_to");
        let summary =
            Clone::new(&source.url, &target.url).keep_all().run().expect_code(0).summary();
        let warnings = summary["warnings"].as_array().unwrap();
        let said = warnings.iter().filter(|text| text.to_string().contains("extension"));
        assert_eq!(
            said.collect::<Vec<_>>(),
            ["left behind: 2 rows of geo.systems (they belong to the extension plpgsql)"]
        );
    }
}
