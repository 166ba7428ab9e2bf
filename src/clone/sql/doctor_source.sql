-- Settings and rights of the role on a source, one row. Locks: none. PostgreSQL 14+.
select pg_catalog.current_setting('server_version_num')::int4 / 10000 as major,
       pg_catalog.current_setting('wal_level') as wal_level,
       pg_catalog.pg_is_in_recovery() as is_standby,
       pg_catalog.current_setting('max_replication_slots')::int8 as max_slots,
       (select count(*) from pg_catalog.pg_replication_slots) as slots,
       pg_catalog.current_setting('max_wal_senders')::int8 as max_senders,
       (select count(*) from pg_catalog.pg_stat_get_wal_senders()) as senders,
       pg_catalog.current_setting('max_slot_wal_keep_size') as keep_size,
       pg_catalog.current_database()::text as database,
       r.rolname::text as role, r.rolsuper or r.rolreplication as may_replicate,
       pg_catalog.has_database_privilege(pg_catalog.current_database(), 'create') as may_create,
       pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'usage') as reads_stats
from pg_catalog.pg_roles r where r.rolname = current_user
