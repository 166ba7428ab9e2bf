//! What a stream takes for itself.

use std::fmt::Write;

use rustix::process::Signal;

use crate::support::{
    Follow, database, follow::FOLLOW_LIMIT, query_strings, query_value, some_servers, sql, wait_for,
};

const TABLES: usize = 600;
/// MiB, whatever is followed.
const LIMIT: u64 = 256;

#[test]
fn many_masked_tables_take_no_more_than_few() {
    for cluster in some_servers() {
        let (source, target) = (database(cluster, "many"), database(cluster, "many_to"));
        let each = |statement: &str| {
            format!(
                "do $$ begin for t in 1..{TABLES} loop execute format('{statement}', t); end loop; end $$"
            )
        };
        let create =
            "create table t%1$s (id int primary key, email text, name text, phone text, city text)";
        sql(&source, &each(create));
        let insert = "insert into t%1$s values (1, ''ada%1$s@corp.test'', ''Ada'', ''+1 212 555 0100'', ''Rome'')";
        let mut config = "version: 1\ntables:\n".to_owned();
        for table in 1..=TABLES {
            let columns = "{email: email, name: full_name, phone: phone, city: city}";
            writeln!(config, "  public.t{table}: {{columns: {columns}}}").unwrap();
        }
        let follow = Follow::new(&source.url, &target.url).config(&config);
        follow.start().expect_code(0);
        sql(&source, &each(insert));
        let stream = follow.stream(&[]);
        let last = format!("select count(*) from t{TABLES}");
        wait_for("the last table's row", FOLLOW_LIMIT, || query_value(&target, &last) == "1");
        let peak = stream.peak_mib();
        stream.signal(Signal::TERM);
        stream.wait().expect_code(0);
        let raw = "select count(*) from t1 where email like 'ada%'";
        assert_eq!(query_strings(&target, raw), [["0"]]);
        assert!(peak.is_none_or(|peak| peak < LIMIT), "{peak:?} MiB");
    }
}
