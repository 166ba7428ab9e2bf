-- The functions that pgroll calls, by its names and with its parameters.
-- Servers: 14 to 18. @state@ is the quoted name of the state schema.

-- True while a migration is between start and complete.
create or replace function @state@.is_active_migration_period(schemaname name) returns boolean
language sql stable as $function$
    select exists (select from @state@.migrations m where m.schema = schemaname and not m.done)
$function$;

-- The name of the migration that no other has as its parent.
create or replace function @state@.latest_migration(schemaname name) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp as $function$
    select m.name from @state@.migrations m
    where m.schema = schemaname
      and not exists (select from @state@.migrations child where child.schema = m.schema and child.parent = m.name)
$function$;

create or replace function @state@.previous_migration(schemaname name) returns text
language sql as $function$
    select m.parent from @state@.migrations m
    where m.schema = schemaname and m.name = @state@.latest_migration(schemaname)
$function$;

-- The p_depth-th youngest version whose schema exists; NULL if there are not so many.
create or replace function @state@.find_version_schema(p_schema_name name, p_depth integer default 0) returns text
language sql stable as $function$
    with recursive line(name, version, parent, age) as (
        select m.name, coalesce(m.migration ->> 'version_schema', m.name), m.parent, 0
        from @state@.migrations m
        where m.schema = p_schema_name and m.name = @state@.latest_migration(p_schema_name)
        union all
        select m.name, coalesce(m.migration ->> 'version_schema', m.name), m.parent, line.age + 1
        from line join @state@.migrations m on m.schema = p_schema_name and m.name = line.parent
    )
    select line.version from line
    join pg_catalog.pg_namespace n on n.nspname = p_schema_name || '_' || line.version
    order by line.age limit 1 offset p_depth
$function$;

create or replace function @state@.previous_version(schemaname name) returns text
language sql stable as $function$
    select @state@.find_version_schema(schemaname, 1)
$function$;

create or replace function @state@.latest_version(schemaname name) returns text
language sql stable as $function$
    select @state@.find_version_schema(schemaname, 0)
$function$;
