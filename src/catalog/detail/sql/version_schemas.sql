-- Schemas whose name begins with the schema's and an underscore, with their grants. $1: schema. Locks: ACCESS SHARE on catalogs. PostgreSQL 14+.
select pg_catalog.json_build_object(
    'name', n.nspname,
    'owner', pg_catalog.pg_get_userbyid(n.nspowner),
    'grants', (select pg_catalog.json_agg(pg_catalog.json_build_object(
                   'grantee', case when a.grantee = 0 then null else pg_catalog.pg_get_userbyid(a.grantee) end,
                   'privilege', a.privilege_type, 'is_grantable', a.is_grantable) order by a.grantee, a.privilege_type)
               from pg_catalog.aclexplode(n.nspacl) a where a.grantee <> n.nspowner))::text
from pg_catalog.pg_namespace n
where pg_catalog.starts_with(n.nspname::text, $1 || '_')
order by n.nspname collate "C"
