-- Slots that look like backlot's own in this database. Order: by name. Locks: none. PostgreSQL 14+.
select s.slot_name::text as name, s.active, s.wal_status,
       case when not pg_catalog.pg_is_in_recovery() and s.restart_lsn is not null
            then pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), s.restart_lsn)::int8 end as kept_bytes
from pg_catalog.pg_replication_slots s
where s.database = pg_catalog.current_database() and s.plugin = 'pgoutput' and s.slot_name like 'backlot\_%'
order by 1
