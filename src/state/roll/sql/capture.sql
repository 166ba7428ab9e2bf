-- The event triggers' function: notes DDL of others as an inferred migration.
-- It never fails the statement, never waits for one of its neighbours, and takes no snapshot of the schema:
-- backlot's next verb fills resulting_schema in. Who finds another transaction noting DDL of the same schema
-- leaves the statement in backlot_captured, from where the next verb puts it into the history.
-- Servers: 14 to 18. @state@ is the quoted name of the state schema.
create or replace function @state@.raw_migration() returns event_trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '20ms' as $function$
declare
    touched text;
    query text := pg_catalog.current_query();
    newest text;
    newest_of_files text;
begin
    if pg_catalog.upper(coalesce(pg_catalog.current_setting('pgroll.no_inferred_migrations', true), '')) = 'TRUE'
        or tg_tag in ('COMMENT', 'REFRESH MATERIALIZED VIEW', 'GRANT', 'REVOKE', 'SECURITY LABEL',
            'ALTER DEFAULT PRIVILEGES')
        or query ~* '\mconcurrently\M'
    then
        return;
    end if;
    if tg_event = 'sql_drop' then
        -- ALTER TABLE … DROP COLUMN ends in ddl_command_end too, where it is noted.
        if tg_tag !~ '^DROP ' then
            return;
        end if;
        select pg_catalog.min(o.schema_name) into touched
        from pg_catalog.pg_event_trigger_dropped_objects() o
        where o.schema_name is not null and not o.is_temporary
        having pg_catalog.count(distinct o.schema_name) = 1;
    else
        select pg_catalog.min(o.schema_name) into touched
        from pg_catalog.pg_event_trigger_ddl_commands() o
        where o.schema_name is not null and not o.in_extension
        having pg_catalog.count(distinct o.schema_name) = 1;
    end if;
    if touched is null or touched ~ '^pg_' or touched in ('information_schema', 'backlot', @state_text@)
        or @state@.is_active_migration_period(touched)
    then
        return;
    end if;
    if not pg_catalog.pg_try_advisory_xact_lock(1651469419, pg_catalog.hashtext(@state_text@ || '/' || touched)) then
        insert into @state@.backlot_captured (schema, statement) values (touched, query);
        return;
    end if;
    begin
        newest := @state@.latest_migration(touched);
        -- A statement with several commands, and a string of several statements, are one migration.
        if exists (
            select from @state@.migrations m
            where m.schema = touched and m.name = newest and m.migration_type = 'inferred'
              and m.created_at = pg_catalog.transaction_timestamp()
              and m.migration -> 'operations' -> 0 -> 'sql' ->> 'up' = query
        ) then
            return;
        end if;
        perform @state@.note_inferred(touched, query, pg_catalog.clock_timestamp());
    exception when others then
        insert into @state@.backlot_captured (schema, statement) values (touched, query);
    end;
exception when others then
    raise debug 'backlot: % was not noted: %', tg_tag, sqlerrm;
end
$function$;

-- Puts one statement of others at the end of the history of a schema.
create or replace function @state@.note_inferred(schemaname name, statement text, at timestamptz) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $function$
    with recursive line(name, parent, migration_type, age) as (
        select m.name, m.parent, m.migration_type, 0 from @state@.migrations m
        where m.schema = schemaname and m.name = @state@.latest_migration(schemaname)
        union all
        select m.name, m.parent, m.migration_type, line.age + 1 from line
        join @state@.migrations m on m.schema = schemaname and m.name = line.parent
        where line.migration_type = 'inferred'
    )
    insert into @state@.migrations (schema, name, migration, created_at, parent, done, migration_type)
    select schemaname,
        coalesce((select line.name from line where line.migration_type <> 'inferred' limit 1), '00000_initial')
            || '_' || pg_catalog.to_char(at, 'YYYYMMDDHH24MISSUS'),
        pg_catalog.jsonb_build_object(
            'version_schema', 'sql_' || pg_catalog.substr(pg_catalog.md5(at::text || pg_catalog.random()::text), 1, 8),
            'operations', pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object(
                'sql', pg_catalog.jsonb_build_object('up', statement)))),
        pg_catalog.transaction_timestamp(), @state@.latest_migration(schemaname), true, 'inferred'
$function$;
