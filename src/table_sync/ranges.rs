//! Ranges: planned from the size of the heap alone. No scan, no statistics.

use super::job::TableJob;
use crate::state::{PlannedRange, RangeId};

/// `BLCKSZ` of every packaged PostgreSQL; only the evenness of the split depends on it.
const BLOCK_BYTES: u64 = 8192;

/// Largest tables first, so that the last ranges to finish are small. The last range of a table
/// has no end: rows beyond the size that was measured cannot be missed.
pub fn plan_ranges(jobs: &[TableJob], range_bytes: u64) -> Vec<PlannedRange> {
    let mut order = jobs.iter().collect::<Vec<_>>();
    order.sort_by(|a, b| b.size_bytes.cmp(&a.size_bytes).then_with(|| a.source.cmp(&b.source)));
    let mut ranges = Vec::new();
    for job in order {
        for (first_block, last_block) in split(job, range_bytes) {
            let id = RangeId(i64::try_from(ranges.len()).unwrap_or(i64::MAX));
            let relation = job.source.to_string();
            ranges.push(PlannedRange {
                id,
                relation,
                first_block,
                last_block,
                done: false,
                row_count: 0,
                byte_count: 0,
                changed: Vec::new(),
                overtaken: false,
            });
        }
    }
    ranges
}

fn split(job: &TableJob, range_bytes: u64) -> Vec<(i64, Option<i64>)> {
    let blocks = job.size_bytes.div_ceil(BLOCK_BYTES);
    let per_range = (range_bytes / BLOCK_BYTES).max(1);
    if !job.is_heap || blocks <= per_range + per_range / 2 {
        return vec![(0, None)];
    }
    let count = blocks.div_ceil(per_range);
    let block = |at: u64| i64::try_from(at * per_range).unwrap_or(i64::MAX);
    (0..count).map(|at| (block(at), (at + 1 < count).then(|| block(at + 1)))).collect()
}

#[cfg(test)]
mod tests {
    use super::{TableJob, plan_ranges as plan};
    use crate::catalog::{RelationName, TableId};
    use crate::pg::Format;
    use crate::transform::TableMask;

    fn job(name: &str, size_bytes: u64, is_heap: bool) -> TableJob {
        TableJob {
            table: TableId(0),
            source: RelationName::new("s", name),
            target: RelationName::new("s", name),
            columns: Vec::new(),
            oid: crate::pg::Oid(1),
            numbers: Vec::new(),
            format: Format::Binary,
            filter: None,
            mask: TableMask::new(Vec::new()),
            size_bytes,
            is_heap,
        }
    }

    #[test]
    fn ranges_cover_a_table_without_gap_or_overlap_and_the_last_is_open() {
        let ranges = plan(&[job("a", 8192 * 1001, true)], 8192 * 100);
        assert_eq!(ranges.len(), 11);
        for pair in ranges.windows(2) {
            assert_eq!(pair[0].last_block, Some(pair[1].first_block));
        }
        assert_eq!((ranges[0].first_block, ranges[10].last_block), (0, None));
    }

    #[test]
    fn large_tables_come_first_and_what_is_not_a_heap_stays_whole() {
        let ranges = plan(
            &[job("small", 0, true), job("other", 1 << 30, false), job("big", 2 << 30, true)],
            1 << 30,
        );
        let names = ranges.iter().map(|range| range.relation.as_str()).collect::<Vec<_>>();
        assert_eq!(names, ["s.big", "s.big", "s.other", "s.small"]);
    }
}
