-- Sessions that hold a lock on one of the given relations for which SHARE UPDATE EXCLUSIVE waits, in words.
-- Order: by pid. Locks: none. PostgreSQL 14+.
select distinct pg_catalog.format('pid %s (%s%s, %s on %s)', l.pid, coalesce(a.usename::text, 'a background process'),
                         coalesce(', ' || nullif(a.application_name, ''), ''), l.mode, l.relation::pg_catalog.regclass)
from pg_catalog.pg_locks l
left join pg_catalog.pg_stat_activity a on a.pid = l.pid
where l.locktype = 'relation' and l.granted and l.pid <> pg_catalog.pg_backend_pid()
  and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
  and l.relation = any ($1)
  and l.mode in ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
order by 1
