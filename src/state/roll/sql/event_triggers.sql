-- Superuser only. Servers: 14 to 18. @state@ is the quoted name of the state schema.
do $block$
begin
    if not exists (select from pg_catalog.pg_event_trigger where evtname = 'pg_roll_handle_ddl') then
        create event trigger pg_roll_handle_ddl on ddl_command_end execute function @state@.raw_migration();
    end if;
    if not exists (select from pg_catalog.pg_event_trigger where evtname = 'pg_roll_handle_drop') then
        create event trigger pg_roll_handle_drop on sql_drop execute function @state@.raw_migration();
    end if;
end
$block$;
