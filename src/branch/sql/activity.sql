-- One row: sessions by state, then the counters of the current database. No lock. All versions.
select pg_catalog.count(*) filter (where a.state = 'active'),
       pg_catalog.count(*) filter (where a.state = 'idle'),
       pg_catalog.count(*) filter (where a.state like 'idle in transaction%'),
       pg_catalog.pg_database_size(pg_catalog.current_database()),
       d.xact_commit, d.xact_rollback, d.blks_read, d.blks_hit,
       d.tup_inserted + d.tup_updated + d.tup_deleted,
       d.deadlocks, d.temp_bytes,
       extract(epoch from pg_catalog.now() - pg_catalog.pg_postmaster_start_time())::int8
from pg_catalog.pg_stat_database d
left join pg_catalog.pg_stat_activity a
       on a.backend_type = 'client backend' and a.pid <> pg_catalog.pg_backend_pid()
where d.datname = pg_catalog.current_database()
group by d.xact_commit, d.xact_rollback, d.blks_read, d.blks_hit, d.tup_inserted, d.tup_updated,
         d.tup_deleted, d.deadlocks, d.temp_bytes
