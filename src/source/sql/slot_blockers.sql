-- What the creation of a slot waits for: transactions of any database that have an id, in words. pg_locks shows them
-- to every role, pg_stat_activity only who they are. Order: oldest first. Locks: none. PostgreSQL 14+.
select pg_catalog.format('pid %s (%s%s%s)', l.pid, coalesce(a.usename::text, 'a background process'),
                         coalesce(', ' || nullif(a.application_name, ''), ''),
                         coalesce(pg_catalog.format(', for %s s', extract(epoch from pg_catalog.clock_timestamp() - a.xact_start)::int8), ''))
from pg_catalog.pg_locks l
left join pg_catalog.pg_stat_activity a on a.pid = l.pid
where l.locktype = 'transactionid' and l.mode = 'ExclusiveLock' and l.granted
  and l.pid is not null and l.pid <> pg_catalog.pg_backend_pid()
union all
select pg_catalog.format('the prepared transaction %s (%s, for %s s)', p.gid, p.owner,
                         extract(epoch from pg_catalog.clock_timestamp() - p.prepared)::int8)
from pg_catalog.pg_prepared_xacts p
