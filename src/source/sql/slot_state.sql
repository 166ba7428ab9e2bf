-- A replication slot, whatever the version knows of it. Locks: none. PostgreSQL 14+.
select s.plugin::text, s.slot_type, s.database::text, s.temporary, s.active_pid, s.wal_status, s.safe_wal_size,
       s.restart_lsn::text as restart_lsn, s.confirmed_flush_lsn::text as confirmed_flush_lsn,
       coalesce(pg_catalog.to_jsonb(s) ->> 'invalidation_reason',
                case when (pg_catalog.to_jsonb(s) ->> 'conflicting')::bool then 'conflict with recovery' end) as invalidation_reason,
       coalesce((pg_catalog.to_jsonb(s) ->> 'failover')::bool, false) as failover,
       a.application_name::text as application_name, a.usename::text as user_name
from pg_catalog.pg_replication_slots s
left join pg_catalog.pg_stat_activity a on a.pid = s.active_pid
where s.slot_name = $1
