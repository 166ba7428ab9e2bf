//! The corpus of migrations: `tests/specs/roll/*.yaml`, each case run through start, rollback,
//! start again and complete on real servers. `BACKLOT_CASE=words` runs the cases whose names have
//! them.

mod case;
mod coverage;
mod database;
mod run;
mod strict;

use crate::support::some_servers;

/// Every file of cases: two tests each, which run side by side.
macro_rules! files {
    ($($file:ident),* $(,)?) => {
        const FILES: &[&str] = &[$(stringify!($file)),*];

        $(
            mod $file {
                #[test]
                fn does_what_it_says() {
                    super::check(stringify!($file));
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

fn check(name: &str) {
    let file = case::load(name);
    let failures: Vec<String> =
        some_servers().flat_map(|cluster| run::run_file(cluster, name, &file)).collect();
    assert!(failures.is_empty(), "{} cases failed\n{}", failures.len(), failures.join("\n\n"));
}
