//! The corpus of migrations: `tests/specs/roll/*.yaml`, each case run through start, rollback,
//! start again and complete on real servers. `BACKLOT_CASE=words` runs the cases whose names have
//! them.

mod case;
mod coverage;
mod database;
mod run;
mod strict;

use crate::support::servers;

/// Every file of cases: two tests each, which run side by side.
macro_rules! files {
    ($($file:ident),* $(,)?) => {
        const FILES: &[&str] = &[$(stringify!($file)),*];

        $(
            mod $file {
                #[test]
                fn on_the_oldest_server() {
                    super::check(stringify!($file), true);
                }

                #[test]
                fn on_newer_servers() {
                    super::check(stringify!($file), false);
                }
            }
        )*
    };
}

files! {
    add_column,
    alter_column,
    constraints,
    create_table,
    errors,
    indexes,
    multi,
    shapes,
    sql,
    tables,
    versions,
}

fn check(name: &str, is_oldest: bool) {
    let file = case::load(name);
    let clusters = servers().enumerate().filter(|(at, _)| (*at == 0) == is_oldest);
    let failures: Vec<String> =
        clusters.flat_map(|(_, cluster)| run::run_file(cluster, name, &file)).collect();
    assert!(failures.is_empty(), "{} cases failed\n{}", failures.len(), failures.join("\n\n"));
}
