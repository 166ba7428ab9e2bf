//! The rules of the stream, with messages made by hand.

mod interleaved;
mod model;

use super::{Action, Applier, GROUP_BYTES, GROUP_CHANGES};
use crate::pg::Lsn;
use crate::sink::apply::{Change, Extent, Group, Operation};
use crate::stream::machine::{Binding, Route};
use model::{Rig, applied, commit, handed};
use std::time::Duration;

const NOW: Duration = Duration::from_secs(1);
/// Of rows of which two fit into a group, and not three.
const LARGE: usize = GROUP_BYTES / 8 * 3;
/// Of rows of which eight and what describes them do not fit.
const EIGHTH: usize = GROUP_BYTES / 8;
const WAL: u64 = EIGHTH as u64;

fn later(ms: u64) -> Duration {
    NOW + Duration::from_millis(ms)
}

/// The target says that rows change again and again: its last changes came to so many.
fn fold(rig: &mut Rig, net_changes: usize) {
    let operation = Operation::Truncate { statement: 0, restart_identity: false };
    let changes = vec![Change { table: 0, operation }; GROUP_CHANGES];
    rig.machine.reuse(Group { changes, ..Group::default() }, Some(net_changes));
}

#[test]
fn a_transaction_is_handed_over_whole_once_the_applier_is_idle() {
    let mut rig = Rig::new(0);
    rig.begin(100, 7).insert(1, "a").insert(2, "b");
    rig.machine.close_if_due(NOW, Applier::Idle);
    assert!(rig.actions().is_empty(), "nothing before its commit");
    rig.commit(100, 110);
    rig.machine.close_if_due(NOW, Applier::Idle);
    let groups = handed(rig.actions());
    let [group] = groups.as_slice() else { panic!("one group") };
    assert_eq!(group.extent, Extent::Whole);
    assert_eq!(applied(group), ["1+a", "2+b"]);
    assert_eq!(group.transactions.len(), 1);
    assert_eq!((group.transactions[0].xid, group.transactions[0].changes_end), (7, 2));
    assert_eq!(group.transactions[0].commit, commit(100, 110));
}

#[test]
fn while_the_applier_is_busy_transactions_gather_for_a_tenth_of_a_second() {
    let mut rig = Rig::new(0);
    rig.begin(100, 1).insert(1, "a").commit(100, 110);
    rig.machine.close_if_due(NOW, Applier::Busy);
    rig.begin(110, 2).insert(1, "b").commit(110, 120);
    rig.machine.close_if_due(later(99), Applier::Busy);
    assert!(rig.actions().is_empty());
    rig.machine.close_if_due(later(100), Applier::Full);
    assert!(rig.actions().is_empty(), "a group waits already");
    rig.machine.close_if_due(later(100), Applier::Busy);
    let groups = handed(rig.actions());
    assert_eq!(applied(&groups[0]), ["1+a", "1+b"]);
    let ends = groups[0].transactions.iter().map(|one| (one.changes_end, one.commit.end_lsn));
    assert_eq!(ends.collect::<Vec<_>>(), [(1, Lsn(110)), (2, Lsn(120))]);
}

#[test]
fn a_transaction_goes_at_once_after_a_pause_and_with_its_followers_under_load() {
    let mut rig = Rig::new(0);
    rig.begin(100, 1).insert(1, "a").commit(100, 110);
    rig.machine.close_if_due(NOW, Applier::Idle);
    assert_eq!(handed(rig.actions()).len(), 1, "nothing came before it");
    for at in [110, 120, 130] {
        rig.begin(at, 2).insert(1, "b").commit(at, at + 10);
        rig.machine.close_if_due(later(3), Applier::Idle);
    }
    assert!(rig.actions().is_empty());
    rig.machine.close_if_due(later(4), Applier::Idle);
    let groups = handed(rig.actions());
    assert_eq!(groups.iter().map(|group| group.transactions.len()).collect::<Vec<_>>(), [3]);
    // What is large enough need not wait.
    rig.begin(140, 3).insert(1, &"x".repeat(300_000)).commit(140, 150);
    rig.machine.close_if_due(later(5), Applier::Idle);
    assert_eq!(handed(rig.actions()).len(), 1);
}

/// Transactions of the groups far behind, each of a row and as much WAL, up to the source's end.
fn sizes_far_behind(rig: &mut Rig) -> Vec<usize> {
    rig.machine.set_source_end(Lsn(100 * WAL));
    let row = "x".repeat(EIGHTH);
    let mut sizes = Vec::new();
    for at in 0..100 {
        rig.begin(at * WAL, 1).insert(1, &row).commit(at * WAL, (at + 1) * WAL);
        rig.machine.close_if_due(NOW, Applier::Idle);
        sizes.extend(handed(rig.actions()).iter().map(|group| group.transactions.len()));
    }
    assert_eq!(sizes.iter().sum::<usize>(), 100);
    sizes
}

#[test]
fn far_behind_groups_grow_and_near_the_end_they_shrink() {
    let mut rig = Rig::new(0);
    fold(&mut rig, GROUP_CHANGES / 10 * 9);
    let sizes = sizes_far_behind(&mut rig);
    assert!(sizes.starts_with(&[1, 2, 3, 5, 7, 7]), "{sizes:?}");
    assert!(sizes.ends_with(&[7, 7, 3, 2]), "{sizes:?}");
    // What is small goes when it is old.
    rig.machine.set_source_end(Lsn(200 * WAL));
    rig.begin(100 * WAL, 1).insert(1, "x").commit(100 * WAL, 101 * WAL);
    rig.machine.close_if_due(later(499), Applier::Idle);
    assert!(handed(rig.actions()).is_empty());
    rig.machine.close_if_due(later(500), Applier::Idle);
    assert_eq!(handed(rig.actions()).len(), 1);
}

#[test]
fn far_behind_groups_that_come_to_little_are_large_from_the_beginning_to_the_end() {
    let mut rig = Rig::new(0);
    fold(&mut rig, GROUP_CHANGES / 100);
    let sizes = sizes_far_behind(&mut rig);
    assert!(sizes.starts_with(&[7, 7, 7]), "{sizes:?}");
    assert!(sizes.ends_with(&[7, 2]), "{sizes:?}");
}

#[test]
fn far_behind_a_group_grows_while_the_applier_is_busy() {
    let mut rig = Rig::new(0);
    fold(&mut rig, 1);
    rig.machine.set_source_end(Lsn(100 * EIGHTH as u64));
    let row = "x".repeat(EIGHTH);
    for at in 0..5 {
        rig.begin(at * 10, 1).insert(1, &row).commit(at * 10, at * 10 + 10);
        rig.machine.close_if_due(later(at * 1000), Applier::Busy);
    }
    assert!(handed(rig.actions()).is_empty());
    rig.machine.close_if_due(later(4000), Applier::Idle);
    let groups = handed(rig.actions());
    assert_eq!(groups.iter().map(|group| group.transactions.len()).collect::<Vec<_>>(), [5]);
}

#[test]
fn a_full_group_is_closed_whether_or_not_the_applier_is_ready() {
    let mut rig = Rig::new(0);
    fold(&mut rig, 1);
    let row = "x".repeat(LARGE);
    for at in [100, 200, 300] {
        rig.begin(at, 1).insert(1, &row).commit(at, at + 10);
    }
    let groups = handed(rig.actions());
    let [group] = groups.as_slice() else { panic!("one group") };
    assert_eq!(
        (group.extent, group.transactions.len(), group.changes.len()),
        (Extent::Whole, 2, 2)
    );
    rig.machine.close_if_due(NOW, Applier::Idle);
    assert_eq!(handed(rig.actions())[0].transactions.len(), 1, "the one that had no room");
}

#[test]
fn where_rows_do_not_change_again_groups_stay_small() {
    let mut rig = Rig::new(0);
    rig.machine.set_source_end(Lsn(100 * EIGHTH as u64));
    let row = "x".repeat(EIGHTH);
    for at in 0..6 {
        rig.begin(at * 10, 1).insert(1, &row).commit(at * 10, at * 10 + 10);
        rig.machine.close_if_due(NOW, Applier::Busy);
    }
    let groups = handed(rig.actions());
    assert_eq!(groups.iter().map(|group| group.transactions.len()).collect::<Vec<_>>(), [2, 2, 2]);
}

#[test]
fn a_transaction_before_the_checkpoint_is_skipped_and_the_one_that_begins_there_is_not() {
    let mut rig = Rig::new(110);
    rig.begin(100, 1).insert(1, "old").truncate(&[1]).commit(100, 110);
    rig.begin(110, 2).insert(1, "new").commit(110, 120);
    rig.machine.close_if_due(NOW, Applier::Idle);
    let groups = handed(rig.actions());
    assert_eq!(groups.len(), 1);
    assert_eq!(applied(&groups[0]), ["1+new"]);
    rig.start(9).streamed(9, 1, "old").stop().stream_commit(9, 90, 95);
    rig.machine.close_if_due(NOW, Applier::Idle);
    assert!(handed(rig.actions()).is_empty());
}

#[test]
fn an_open_transaction_that_grows_too_large_leaves_whole_ones_first_and_goes_in_parts() {
    let mut rig = Rig::new(0);
    rig.begin(100, 1).insert(1, "small").commit(100, 110);
    rig.begin(200, 2);
    let row = "y".repeat(LARGE);
    for _ in 0..7 {
        rig.insert(2, &row);
    }
    rig.commit(200, 210);
    let groups = handed(rig.actions());
    let extents = groups.iter().map(|group| group.extent).collect::<Vec<_>>();
    assert_eq!(extents, [Extent::Whole, Extent::Part, Extent::Part, Extent::LastPart]);
    assert_eq!(applied(&groups[0]), ["1+small"]);
    assert_eq!(groups.iter().map(|group| group.changes.len()).sum::<usize>(), 8);
    assert!(groups[1].transactions.is_empty() && groups[2].transactions.is_empty());
    let [last] = groups[3].transactions.as_slice() else { panic!("one mark") };
    assert_eq!((last.commit, last.changes_end), (commit(200, 210), groups[3].changes.len()));
}

#[test]
fn an_empty_transaction_moves_the_checkpoint_only() {
    let mut rig = Rig::new(100);
    rig.begin(100, 1).commit(100, 110);
    rig.machine.close_if_due(Duration::from_secs(9), Applier::Idle);
    assert!(rig.actions().is_empty());
    rig.machine.close_if_due(Duration::from_secs(11), Applier::Idle);
    assert!(matches!(rig.actions().as_slice(), [Action::Advance(Lsn(110))]));
}

#[test]
fn a_keepalive_moves_the_checkpoint_when_nothing_is_in_flight() {
    let mut rig = Rig::new(100);
    rig.machine.keepalive(Lsn(500), false);
    rig.machine.close_if_due(Duration::from_secs(1), Applier::Idle);
    assert!(rig.actions().is_empty(), "not yet due");
    rig.machine.keepalive(Lsn(100 + 8 * 1024 * 1024), false);
    rig.machine.close_if_due(Duration::from_secs(1), Applier::Busy);
    assert!(rig.actions().is_empty(), "something is in flight");
    rig.machine.close_if_due(Duration::from_secs(1), Applier::Idle);
    assert!(matches!(rig.actions().as_slice(), [Action::Advance(Lsn(8_388_708))]));
    rig.machine.keepalive(Lsn(8_388_709), true);
    rig.machine.close_if_due(Duration::from_secs(1), Applier::Idle);
    assert!(matches!(rig.actions().as_slice(), [Action::Advance(Lsn(8_388_709))]), "urgent");
}

#[test]
fn a_keepalive_inside_a_transaction_says_nothing() {
    let mut rig = Rig::new(0);
    rig.begin(100, 1).insert(1, "a");
    rig.machine.keepalive(Lsn(900_000_000), true);
    assert_eq!(rig.machine.passed(), Lsn(100));
    rig.machine.close_if_due(Duration::from_mins(1), Applier::Idle);
    assert!(rig.actions().is_empty());
}

#[test]
fn a_barrier_parts_what_committed_before_it_from_what_committed_behind() {
    let mut rig = Rig::new(0);
    rig.begin(100, 1).insert(1, "before").commit(100, 110);
    rig.machine.set_barrier(Lsn(150));
    rig.begin(149, 2).insert(1, "just before").commit(149, 150);
    let actions = rig.actions();
    assert!(matches!(actions.last(), Some(Action::Barrier)));
    assert_eq!(applied(&handed(actions)[0]), ["1+before", "1+just before"]);
    rig.begin(150, 3).insert(1, "behind").commit(150, 160);
    rig.machine.close_if_due(NOW, Applier::Idle);
    assert_eq!(applied(&handed(rig.actions())[0]), ["1+behind"]);
}

#[test]
fn a_barrier_is_reached_by_a_begin_a_keepalive_or_a_stream_commit_behind_it() {
    let mut rig = Rig::new(0);
    rig.machine.set_barrier(Lsn(100));
    assert!(rig.actions().is_empty());
    rig.begin(120, 1).insert(1, "behind");
    assert!(matches!(rig.actions().as_slice(), [Action::Barrier]));
    rig.commit(120, 130);
    rig.machine.set_barrier(Lsn(200));
    rig.machine.keepalive(Lsn(199), false);
    assert!(rig.actions().is_empty());
    rig.machine.keepalive(Lsn(200), false);
    assert!(matches!(rig.actions().as_slice(), [Action::Hand { .. }, Action::Barrier]));
    rig.machine.set_barrier(Lsn(300));
    rig.start(9).streamed(9, 1, "streamed").stop().stream_commit(9, 300, 310);
    rig.machine.close_if_due(NOW, Applier::Idle);
    let actions = rig.actions();
    assert!(matches!(actions.first(), Some(Action::Barrier)));
    assert_eq!(applied(&handed(actions)[0]), ["1+streamed"]);
    rig.machine.set_barrier(Lsn(250));
    assert!(matches!(rig.actions().as_slice(), [Action::Barrier]), "passed already");
}

#[test]
fn draining_hands_over_what_is_complete_and_drops_the_rest() {
    let mut rig = Rig::new(0);
    rig.begin(100, 1).insert(1, "whole").commit(100, 110);
    rig.begin(120, 2).insert(1, "half");
    rig.machine.drain(NOW);
    let actions = rig.actions();
    assert!(matches!(actions.as_slice(), [Action::Hand { .. }, Action::Advance(Lsn(120))]));
    assert_eq!(applied(&handed(actions)[0]), ["1+whole"]);
}

#[test]
fn draining_in_the_middle_of_parts_hands_nothing_over() {
    let mut rig = Rig::new(0);
    rig.begin(100, 1);
    let row = "z".repeat(GROUP_BYTES / 8 * 5);
    rig.insert(1, &row).insert(1, &row).insert(1, "more");
    assert_eq!(handed(rig.actions()).len(), 1);
    rig.machine.drain(NOW);
    assert!(rig.actions().is_empty());
}

#[test]
fn old_rows_and_old_keys_come_with_their_change() {
    let mut rig = Rig::new(0);
    rig.begin(100, 1).update(1, Some("k"), "new").update(1, None, "same").delete(1, "gone");
    rig.commit(100, 110).machine.close_if_due(NOW, Applier::Idle);
    assert_eq!(applied(&handed(rig.actions())[0]), ["1:k>new", "1:>same", "1-gone"]);
}

#[test]
fn a_truncate_of_several_tables_is_one_statement() {
    let mut rig = Rig::new(0);
    rig.begin(100, 1).truncate(&[1, 2]).truncate(&[1]).commit(100, 110);
    rig.machine.close_if_due(NOW, Applier::Idle);
    let groups = handed(rig.actions());
    let statements = model::statements(&groups[0]);
    assert_eq!(applied(&groups[0]), ["1x", "2x", "1x"]);
    assert_eq!(statements[0], statements[1]);
    assert_ne!(statements[1], statements[2]);
}

#[test]
fn truncating_one_of_the_partitions_that_share_a_target_makes_it_stale() {
    let mut rig = Rig::new(0);
    rig.bind_routed(11, "root", 2);
    rig.bind_routed(12, "root", 2);
    rig.begin(100, 1).truncate(&[11, 12]);
    assert!(rig.actions().is_empty(), "both: the whole target table");
    rig.truncate(&[11]);
    let actions = rig.actions();
    let [Action::Stale { target, .. }] = actions.as_slice() else { panic!("one stale table") };
    assert_eq!(target.to_string(), "public.root");
    rig.insert(12, "after").commit(100, 110).machine.close_if_due(NOW, Applier::Idle);
    assert_eq!(applied(&handed(rig.actions())[0]), ["11x", "12x"]);
}

#[test]
fn a_streamed_truncate_of_one_partition_counts_once_it_commits() {
    let mut rig = Rig::with(0, usize::MAX, true);
    rig.bind_routed(11, "root", 2);
    rig.bind_routed(12, "root", 2);
    rig.start(50).streamed_truncate(50, &[11]).stop().abort(50, 50);
    rig.start(60).streamed_truncate(61, &[11]).streamed(60, 1, "a").stop().abort(60, 61);
    rig.start(70).origin().streamed_truncate(70, &[11]).stop();
    rig.start(80).streamed(80, 12, "b").streamed_truncate(81, &[12]).stop();
    rig.stream_commit(60, 100, 110).stream_commit(70, 110, 120);
    rig.begin(120, 1).insert(12, "followed").commit(120, 130);
    let is_stale = |action: &Action| matches!(action, Action::Stale { .. });
    rig.machine.close();
    let actions = rig.actions();
    assert!(!actions.iter().any(is_stale));
    assert_eq!(applied(&handed(actions)[0]), ["1+a", "12+followed"]);
    rig.stream_commit(80, 140, 150).begin(150, 1).insert(12, "c").insert(1, "d").commit(150, 160);
    rig.machine.close();
    let actions = rig.actions();
    assert_eq!(actions.iter().filter(|action| is_stale(action)).count(), 1);
    assert_eq!(applied(&handed(actions)[0]), ["1+d"]);
}

#[test]
fn a_streamed_row_that_cannot_be_masked_matters_once_it_commits_on_a_followed_table() {
    let mut rig = Rig::new(0);
    rig.machine.bind(model::shape(3, "t3"), model::unmaskable("t3"), Route::Skip);
    rig.start(50).streamed(50, 3, "x").streamed(50, 1, "a").stop().stream_commit(50, 100, 110);
    rig.machine.close();
    assert_eq!(applied(&handed(rig.actions())[0]), ["1+a"]);
    rig.start(60).streamed(61, 3, "x").stop().start(70).streamed(70, 3, "x").stop();
    rig.machine.set_route(&model::name("t3"), Route::Apply);
    rig.start(60).streamed(61, 3, "y").stop();
    rig.abort(60, 61).stream_commit(60, 120, 130);
    rig.is_strict = false;
    rig.stream_commit(70, 130, 140);
    assert!(rig.failed);
}

#[test]
fn a_spool_that_streamed_transactions_fill_keeps_to_the_budget() {
    let mut rig = Rig::with(0, 1024 * 1024, false);
    rig.machine.start_spool(&model::name("t2"));
    let row = "v".repeat(900 * 1024);
    for xid in 50..60 {
        let at = u64::from(xid) * 10;
        rig.start(xid).streamed(xid, 2, &row).stop().stream_commit(xid, at, at + 5);
        rig.actions();
    }
    assert!(rig.stored_now() > 0, "nothing of the spool was put away");
}

#[test]
fn what_came_by_replication_is_left_out_if_so_asked() {
    for (skips, expected) in [(true, vec!["1+own"]), (false, vec!["1+foreign", "1+own"])] {
        let mut rig = Rig::with(0, usize::MAX, skips);
        rig.begin(100, 1).origin().insert(1, "foreign").commit(100, 110);
        rig.begin(110, 2).insert(1, "own").commit(110, 120);
        rig.machine.close_if_due(NOW, Applier::Idle);
        assert_eq!(applied(&handed(rig.actions())[0]), expected);
        rig.start(9).origin().streamed(9, 1, "s").stop().start(9).streamed(9, 1, "t").stop();
        rig.stream_commit(9, 130, 140).machine.close_if_due(later(10), Applier::Idle);
        assert_eq!(handed(rig.actions()).len(), usize::from(!skips));
    }
}

#[test]
fn streamed_transactions_interleave_and_lose_their_rolled_back_subtransactions() {
    let mut rig = Rig::new(0);
    rig.start(50).streamed(50, 1, "a").streamed(51, 1, "b").stop();
    rig.start(60).streamed(60, 2, "c").stop();
    rig.begin(100, 1).insert(1, "plain").commit(100, 110);
    rig.start(50).streamed(52, 1, "d").streamed(50, 1, "e").stop();
    rig.abort(50, 51);
    rig.abort(60, 60);
    rig.stream_commit(50, 120, 130).machine.close_if_due(NOW, Applier::Idle);
    let groups = handed(rig.actions());
    assert_eq!(applied(&groups[0]), ["1+plain", "1+a", "1+d", "1+e"]);
    let xids = groups[0].transactions.iter().map(|mark| mark.xid).collect::<Vec<_>>();
    assert_eq!(xids, [1, 50]);
}

#[test]
fn a_large_streamed_transaction_is_put_away_and_handed_over_in_parts() {
    let mut rig = Rig::with(0, 1024 * 1024, false);
    let row = "w".repeat(1024 * 1024);
    rig.start(50);
    for at in 0..9 {
        rig.streamed(50 + at % 2, 1, &row);
    }
    rig.stop().abort(50, 51);
    let stored = rig.stored();
    assert!(stored > 0, "beyond the budget");
    rig.stream_commit(50, 100, 110);
    let groups = handed(rig.actions());
    assert!(groups.len() > 1);
    assert!(groups.iter().rev().skip(1).all(|group| group.extent == Extent::Part));
    let last = groups.last().unwrap();
    assert_eq!((last.extent, last.transactions.len()), (Extent::LastPart, 1));
    assert_eq!(groups.iter().map(|group| group.changes.len()).sum::<usize>(), 5);
    assert_eq!(rig.stored_now(), 0, "forgotten");
}

#[test]
fn shapes_of_a_streamed_transaction_are_its_own_until_it_commits() {
    let mut rig = Rig::new(0);
    rig.start(50).bind_as(1, "altered").streamed(50, 1, "new").stop();
    rig.begin(100, 1).insert(1, "old").commit(100, 110);
    rig.stream_commit(50, 120, 130);
    rig.begin(140, 2).insert(1, "later").commit(140, 150);
    rig.machine.close_if_due(NOW, Applier::Idle);
    let groups = handed(rig.actions());
    let names = groups[0]
        .changes
        .iter()
        .map(|change| groups[0].tables[change.table as usize].target.name.clone());
    assert_eq!(names.collect::<Vec<_>>(), ["t1", "altered", "altered"]);
}

#[test]
fn changes_of_a_stale_or_uncloned_table_are_dropped() {
    let mut rig = Rig::new(0);
    rig.machine.bind(model::shape(3, "excluded"), Binding::Dropped, Route::Skip);
    rig.machine.set_route(&model::name("t2"), Route::Skip);
    rig.begin(100, 1).insert(1, "a").insert(2, "b").insert(3, "c").commit(100, 110);
    rig.start(50).streamed(50, 2, "d").streamed(50, 1, "e").stop().stream_commit(50, 120, 130);
    rig.machine.close_if_due(NOW, Applier::Idle);
    assert_eq!(applied(&handed(rig.actions())[0]), ["1+a", "1+e"]);
}

#[test]
fn a_relation_bound_anew_goes_one_way_in_all_its_shapes() {
    let mut rig = Rig::new(0);
    rig.bind_routed(11, "root", 2);
    rig.bind_routed(12, "root", 2);
    rig.start(50).streamed(50, 2, "old shape").streamed(50, 11, "a").stop();
    let mut altered = model::shape(2, "t2");
    altered.columns[0].name = "w".into();
    rig.machine.bind(altered, model::followed("t2", "t2", 1), Route::Skip);
    rig.machine.bind(model::shape(11, "t11"), Binding::Dropped, Route::Skip);
    // The source changed it back.
    assert!(rig.machine.recognise(&model::shape(2, "t2")));
    rig.begin(100, 1).insert(2, "back").insert(12, "sibling").commit(100, 110);
    rig.start(50).streamed(50, 12, "b").stop().stream_commit(50, 120, 130);
    rig.machine.close_if_due(NOW, Applier::Idle);
    assert_eq!(applied(&handed(rig.actions())[0]), ["12+sibling", "12+b"]);
    rig.machine.skip(|name| *name == model::name("t12"));
    rig.begin(140, 1).insert(12, "given up").insert(1, "c").commit(140, 150);
    rig.machine.close_if_due(later(10), Applier::Idle);
    assert_eq!(applied(&handed(rig.actions())[0]), ["1+c"]);
}

#[test]
fn a_spooled_table_keeps_its_changes_apart_until_they_are_asked_for() {
    let mut rig = Rig::with(0, 1024, false);
    let spool = rig.machine.start_spool(&model::name("t2"));
    rig.begin(100, 1).insert(1, "a").insert(2, "b").truncate(&[2]).commit(100, 110);
    let row = "v".repeat(4 * 1024 * 1024);
    rig.start(50).streamed(50, 2, &row).streamed(51, 2, "no").streamed(50, 1, "c").stop();
    rig.abort(50, 51);
    rig.stream_commit(50, 120, 130).machine.close_if_due(NOW, Applier::Idle);
    let groups = handed(rig.actions());
    let all = groups.iter().flat_map(applied).collect::<Vec<_>>();
    assert_eq!(all, ["1+a", "1+c"]);
    rig.machine.set_route(&model::name("t2"), Route::Apply);
    rig.machine.take_spool(spool);
    let groups = handed(rig.actions());
    let all = groups.iter().flat_map(applied).collect::<Vec<_>>();
    assert_eq!(all, ["2+b".to_owned(), "2x".to_owned(), format!("2+{row}")]);
    assert!(groups.iter().all(|group| group.extent == Extent::Part));
}

#[test]
fn what_is_only_spooled_is_behind_the_checkpoint_when_it_is_asked_for() {
    let mut rig = Rig::new(0);
    let spool = rig.machine.start_spool(&model::name("t2"));
    rig.begin(100, 1).insert(2, "a").commit(100, 110);
    rig.machine.close_and_advance(NOW);
    assert!(matches!(rig.actions().as_slice(), [Action::Advance(Lsn(110))]));
    rig.machine.take_spool(spool);
    assert!(!handed(rig.actions()).is_empty());
    rig.begin(110, 1).insert(1, "b").insert(2, "c").commit(110, 120);
    rig.machine.close_and_advance(NOW);
    assert!(matches!(rig.actions().as_slice(), [Action::Hand { .. }]), "its mark moves it");
}

#[test]
fn messages_out_of_turn_end_the_session() {
    type Step = fn(&mut Rig);
    let wrong: [Step; 7] = [
        |rig| {
            let _ = rig.begin(1, 1).begin(2, 2);
        },
        |rig| {
            let _ = rig.commit(1, 2);
        },
        |rig| {
            let _ = rig.begin(1, 1).commit(2, 3);
        },
        |rig| {
            let _ = rig.insert(1, "a");
        },
        |rig| {
            let _ = rig.begin(1, 1).insert(99, "a");
        },
        |rig| {
            let _ = rig.stop();
        },
        |rig| {
            let _ = rig.start(1).begin(1, 2);
        },
    ];
    for (at, step) in wrong.into_iter().enumerate() {
        let mut rig = Rig::new(0);
        rig.is_strict = false;
        step(&mut rig);
        assert!(rig.failed, "case {at}");
    }
}
