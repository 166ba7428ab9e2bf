-- The schema itself and the server, one row of JSON. Locks: ACCESS SHARE on catalogs. PostgreSQL 14+.
select pg_catalog.json_build_object(
    'name', n.nspname,
    'owner', pg_catalog.pg_get_userbyid(n.nspowner),
    'server_version', pg_catalog.current_setting('server_version_num')::int4,
    -- A default that calls one of these is another value in each row.
    'volatile_functions', (select pg_catalog.json_agg(distinct p.proname) from pg_catalog.pg_proc p where p.provolatile = 'v' and p.prokind = 'f'),
    'grants', (select pg_catalog.json_agg(pg_catalog.json_build_object(
                   'grantee', case when a.grantee = 0 then null else pg_catalog.pg_get_userbyid(a.grantee) end,
                   'privilege', a.privilege_type, 'is_grantable', a.is_grantable) order by a.grantee, a.privilege_type)
               from pg_catalog.aclexplode(n.nspacl) a where a.grantee <> n.nspowner))::text
from pg_catalog.pg_namespace n
where n.nspname = $1
