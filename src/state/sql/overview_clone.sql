-- The latest clone of this target and how much of it is done. One row, or none. Locks: none. PostgreSQL 14+.
select r.source, r.phase, r.started_at::text as started_at, r.finished_at::text as finished_at,
       extract(epoch from coalesce(r.finished_at, pg_catalog.clock_timestamp()) - r.started_at)::float8 as seconds,
       ranges.total, ranges.done, ranges.row_count, ranges.byte_count
from backlot.clone_run r
cross join lateral (
    select count(*) as total, count(*) filter (where g.done) as done,
           coalesce(sum(g.row_count), 0)::bigint as row_count, coalesce(sum(g.byte_count), 0)::bigint as byte_count
    from backlot.clone_range g where g.run_id = r.run_id) ranges
order by r.run_id desc limit 1
