-- One row, one text: the first reason for which the server must not be stopped, or 'none'.
-- $after: seconds since the last use; $housekeeping: branch::HOUSEKEEPING. No locks. Server versions: 12 and later; superuser.
-- Prepared transactions (PREPARE TRANSACTION) are left out: they outlive a restart.
with others as (
    select backend_type, state
    from pg_catalog.pg_stat_activity
    where pid <> pg_catalog.pg_backend_pid()
        and backend_type not in ($housekeeping)
)
select case
    when pg_catalog.pg_postmaster_start_time()
        > pg_catalog.clock_timestamp() - $after * interval '1 second' then 'started just now'
    when exists (select from others where backend_type = 'walsender') then 'replication'
    when exists (select from pg_catalog.pg_subscription where subenabled)
        and pg_catalog.current_setting('max_logical_replication_workers') <> '0'
        then 'a subscription'
    when exists (select from others where backend_type = 'client backend' and state <> 'idle')
        then 'a transaction'
    when exists (select from others where backend_type = 'client backend') then 'a client'
    when exists (select from others) then 'a background worker'
    else 'none'
end
