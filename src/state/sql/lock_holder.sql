-- The session that holds the advisory lock $1 of this database. One row, or none. Locks: none. PostgreSQL 14+.
select l.pid, a.application_name::text as application_name, a.backend_start::text as backend_start
from pg_catalog.pg_locks l
left join pg_catalog.pg_stat_activity a on a.pid = l.pid
where l.locktype = 'advisory' and l.granted and l.objsubid = 1
  and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
  and (l.classid::bigint << 32) | l.objid::bigint = $1
limit 1
