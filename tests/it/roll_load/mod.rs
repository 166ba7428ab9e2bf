//! Writers on the old and the new version of a table of 100 000 rows, all the time while migrations start, fill, end
//! and are taken back: no statement of theirs fails, no value of theirs is lost or overwritten, and none waits behind
//! us for longer than the lock timeout.

mod case;
mod ledger;
mod rig;
mod starved;
mod watch;
mod writer;

pub(crate) use watch::Watch;

use self::case::Case;
use self::rig::Rig;
use crate::support::servers;

/// Start, rollback, start, complete.
fn goes_unnoticed(case: Case) {
    let rig = Rig::new(servers().last().unwrap(), case);
    rig.whole();
}

#[test]
fn add_column_goes_unnoticed() {
    goes_unnoticed(case::add_column());
}

#[test]
fn alter_column_of_values_goes_unnoticed() {
    goes_unnoticed(case::alter_values());
}

#[test]
fn alter_column_of_constraints_goes_unnoticed() {
    goes_unnoticed(case::alter_constraints());
}

#[test]
fn several_operations_on_one_column_go_unnoticed() {
    goes_unnoticed(case::several_on_one());
}

#[test]
fn create_constraint_goes_unnoticed() {
    goes_unnoticed(case::create_constraints());
}

#[test]
fn drop_constraint_goes_unnoticed() {
    goes_unnoticed(case::drop_constraints());
}

#[test]
fn names_and_drop_column_go_unnoticed() {
    goes_unnoticed(case::names());
}

#[test]
fn tables_that_come_and_go_go_unnoticed() {
    goes_unnoticed(case::tables());
}

#[test]
fn alter_column_of_the_primary_key_goes_unnoticed() {
    goes_unnoticed(case::primary_key());
}

#[test]
fn the_oldest_version_goes_unnoticed() {
    let cluster = servers().next().unwrap();
    for case in [case::alter_values(), case::create_constraints()] {
        Rig::new(cluster, case).whole();
    }
}
