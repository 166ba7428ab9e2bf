-- Source transactions that could not be applied, oldest first. Locks: none. PostgreSQL 14+.
select q.quarantine_id, q.xid, q.commit_lsn::text as commit_lsn, q.commit_time::text as commit_time, q.relation,
       q.sqlstate, q.reason, q.change_count, q.quarantined_at::text as quarantined_at
from backlot.quarantine q order by q.commit_lsn
