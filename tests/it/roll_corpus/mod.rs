//! The corpus of migrations: `tests/specs/roll/*.yaml`, each case run through start, rollback,
//! start again and complete on real servers. `BACKLOT_CASE=words` runs the cases whose names have
//! them.

mod case;
mod coverage;
mod database;
mod run;
mod strict;

use crate::support::{drawn, servers};

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

/// Every file is run on every version, and each of its cases on one, unless it is asked for by
/// name.
fn check(name: &str, is_oldest: bool) {
    let file = case::load(name);
    let only = std::env::var("BACKLOT_CASE").unwrap_or_default();
    let clusters = servers().enumerate().filter(|(at, _)| (*at == 0) == is_oldest);
    let failures: Vec<String> = clusters
        .flat_map(|(_, cluster)| {
            let is_tried = |case: &case::Case| {
                let is_here = drawn(&case.name).any(|major| major == cluster.major);
                if only.is_empty() { is_here } else { case.name.contains(&only) }
            };
            run::run_file(cluster, name, &file, is_tried)
        })
        .collect();
    assert!(failures.is_empty(), "{} cases failed\n{}", failures.len(), failures.join("\n\n"));
}
