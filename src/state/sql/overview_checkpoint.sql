-- How far the stream has come. One row, or none. Locks: none. PostgreSQL 14+.
select s.started_at::text as started_at, c.end_lsn::text as end_lsn, c.commit_time::text as commit_time,
       extract(epoch from pg_catalog.clock_timestamp() - c.commit_time)::float8 as commit_age,
       c.transaction_count, c.change_count, c.byte_count, c.updated_at::text as updated_at,
       extract(epoch from pg_catalog.clock_timestamp())::float8 as looked_at
from backlot.stream s join backlot.checkpoint c using (slot_name)
