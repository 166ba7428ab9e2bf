//! Random transactions, streamed and not, in random order: what is handed over is what a naive
//! model says.

use super::model::{Rig, applied, handed};
use super::{Applier, NOW};
use crate::sink::apply::Extent;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug)]
enum Step {
    /// A whole transaction of this many rows.
    Plain(u8),
    /// A block of a streamed transaction: rows by subtransaction.
    Block(u8, Vec<u8>),
    /// A subtransaction rolls back.
    Abort(u8, u8),
    /// The streamed transaction ends.
    End(u8, bool),
    /// The applier has time.
    Idle,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0u8..4).prop_map(Step::Plain),
        (0u8..3, prop::collection::vec(0u8..4, 0..6))
            .prop_map(|(xid, rows)| Step::Block(xid, rows)),
        (0u8..3, 1u8..4).prop_map(|(xid, subxid)| Step::Abort(xid, subxid)),
        (0u8..3, any::<bool>()).prop_map(|(xid, commits)| Step::End(xid, commits)),
        Just(Step::Idle),
    ];
    prop::collection::vec(step, 0..60)
}

type OpenModel = (Vec<(u32, String)>, BTreeSet<u32>);

#[derive(Default)]
struct Model {
    /// Rows of streamed transactions in order, and the subtransactions rolled back.
    open: BTreeMap<u32, OpenModel>,
    expected: Vec<String>,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_interleaving_gives_what_a_naive_model_gives(steps in steps(), checkpoint in 0u64..40, budget in 0usize..4096) {
        let mut rig = Rig::with(checkpoint * 10, budget, false);
        let mut model = Model::default();
        let mut got = Vec::new();
        let (mut lsn, mut serial) = (10, 0);
        // A transaction's id is used once; its subtransactions' ids follow it.
        let mut epoch = [0u32; 3];
        let xid_of = |epoch: [u32; 3], slot: u8| {
            1000 + epoch[usize::from(slot)] * 100 + u32::from(slot) * 10
        };
        for step in steps {
            match step {
                Step::Plain(rows) => {
                    rig.begin(lsn, 1);
                    for _ in 0..rows {
                        serial += 1;
                        rig.insert(1, &serial.to_string());
                        if lsn >= checkpoint * 10 {
                            model.expected.push(format!("1+{serial}"));
                        }
                    }
                    rig.commit(lsn, lsn + 10);
                    lsn += 10;
                }
                Step::Block(slot, rows) => {
                    let xid = xid_of(epoch, slot);
                    rig.start(xid);
                    let open = model.open.entry(xid).or_default();
                    for sub in rows {
                        serial += 1;
                        let subxid = xid + u32::from(sub);
                        // A subtransaction that was rolled back does nothing more.
                        if !open.1.contains(&subxid) {
                            rig.streamed(subxid, 2, &serial.to_string());
                            open.0.push((subxid, format!("2+{serial}")));
                        }
                    }
                    rig.stop();
                }
                Step::Abort(slot, sub) => {
                    let xid = xid_of(epoch, slot);
                    rig.abort(xid, xid + u32::from(sub));
                    if let Some(open) = model.open.get_mut(&xid) {
                        open.1.insert(xid + u32::from(sub));
                    }
                }
                Step::End(slot, commits) => {
                    let xid = xid_of(epoch, slot);
                    epoch[usize::from(slot)] += 1;
                    let open = model.open.remove(&xid);
                    if commits {
                        rig.stream_commit(xid, lsn, lsn + 10);
                        let (rows, aborted) = open.unwrap_or_default();
                        if lsn >= checkpoint * 10 {
                            let kept = rows.into_iter().filter(|(sub, _)| !aborted.contains(sub));
                            model.expected.extend(kept.map(|(_, row)| row));
                        }
                        lsn += 10;
                    } else {
                        rig.abort(xid, xid);
                    }
                }
                Step::Idle => rig.machine.close_if_due(NOW, Applier::Idle),
            }
            got.extend(handed(rig.actions()));
        }
        rig.machine.drain(NOW);
        got.extend(handed(rig.actions()));
        let rows = got.iter().flat_map(applied).collect::<Vec<_>>();
        prop_assert_eq!(rows, model.expected);
        // Positions ascend, and parts are followed by their end.
        let marks = got.iter().flat_map(|group| &group.transactions).map(|mark| mark.commit.end_lsn);
        prop_assert!(marks.collect::<Vec<_>>().is_sorted());
        let mut in_parts = false;
        for group in &got {
            prop_assert!(group.extent != Extent::Whole || !in_parts);
            in_parts = group.extent == Extent::Part;
        }
        prop_assert!(!in_parts);
    }
}
