-- Objects that stand directly in schema public, and event triggers, publications and foreign data wrappers of the current
-- role, as statements that drop them; relations first. Members of extensions are left out: they go with those.
-- Locks: ACCESS SHARE on catalogs. PostgreSQL 14+.
with object (class, id) as (
    select distinct d.classid, d.objid
    from pg_catalog.pg_depend d
    where d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
      and d.refobjid = pg_catalog.to_regnamespace('public') and d.deptype = 'n'
    union all
    select 'pg_catalog.pg_event_trigger'::pg_catalog.regclass, e.oid from pg_catalog.pg_event_trigger e
    join pg_catalog.pg_roles r on r.oid = e.evtowner where r.rolname = current_user
    union all
    select 'pg_catalog.pg_publication'::pg_catalog.regclass, p.oid from pg_catalog.pg_publication p
    join pg_catalog.pg_roles r on r.oid = p.pubowner where r.rolname = current_user
    union all
    select 'pg_catalog.pg_foreign_data_wrapper'::pg_catalog.regclass, f.oid from pg_catalog.pg_foreign_data_wrapper f
    join pg_catalog.pg_roles r on r.oid = f.fdwowner where r.rolname = current_user
    union all
    select 'pg_catalog.pg_foreign_server'::pg_catalog.regclass, s.oid from pg_catalog.pg_foreign_server s
    join pg_catalog.pg_roles r on r.oid = s.srvowner where r.rolname = current_user
)
select 'drop ' || case named.type
           when 'composite type' then 'type'
           when 'statistics object' then 'statistics'
           when 'server' then 'server'
           else named.type end
       || ' if exists ' || named.identity || ' cascade' as statement
from object
cross join lateral pg_catalog.pg_identify_object(object.class, object.id, 0) as named
where named.type not in ('default acl', 'rule', 'trigger', 'policy', 'toast table')
  and not exists (
      select from pg_catalog.pg_depend d
      where d.classid = object.class and d.objid = object.id and d.deptype = 'e')
  and not (object.class = 'pg_catalog.pg_class'::pg_catalog.regclass
           and exists (select from pg_catalog.pg_class c where c.oid = object.id and (c.relispartition or c.relkind in ('i', 'I'))))
order by object.class <> 'pg_catalog.pg_class'::pg_catalog.regclass, object.class, object.id
