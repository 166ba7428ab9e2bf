-- Text that the schema itself holds and that pg_dump carries over: (kind, object, text). Objects of extensions and
-- system schemas are left out. Locks: ACCESS SHARE on catalogs. PostgreSQL 14+.
with user_class as (
    select c.oid, c.relkind, c.relpartbound, n.nspname || '.' || c.relname as name
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'backlot') and n.nspname not like 'pg\_%'
      and not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                      and d.objid = c.oid and d.deptype = 'e')
)
select 'enum label' as kind, pg_catalog.format_type(e.enumtypid, null) as object, e.enumlabel::text as text
from pg_catalog.pg_enum e
where not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass
                  and d.objid = e.enumtypid and d.deptype = 'e')
union all
select 'column default', u.name || '.' || a.attname, pg_catalog.pg_get_expr(d.adbin, d.adrelid)
from pg_catalog.pg_attrdef d join user_class u on u.oid = d.adrelid
join pg_catalog.pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
union all
select 'check constraint', coalesce(u.name, t.typname::text) || '.' || k.conname, pg_catalog.pg_get_constraintdef(k.oid)
from pg_catalog.pg_constraint k left join user_class u on u.oid = k.conrelid left join pg_catalog.pg_type t on t.oid = k.contypid
where k.contype = 'c' and (u.oid is not null or (k.contypid <> 0 and t.typnamespace <> 'information_schema'::pg_catalog.regnamespace))
union all
select 'domain default', pg_catalog.format_type(t.oid, null), t.typdefault
from pg_catalog.pg_type t where t.typtype = 'd' and t.typdefault is not null and t.typnamespace <> 'information_schema'::pg_catalog.regnamespace
union all
select 'view', u.name, pg_catalog.pg_get_viewdef(u.oid) from user_class u where u.relkind in ('v', 'm')
union all
select 'partition bound', u.name, pg_catalog.pg_get_expr(u.relpartbound, u.oid) from user_class u where u.relpartbound is not null
union all
select 'index', u.name, pg_catalog.pg_get_indexdef(i.indexrelid)
from pg_catalog.pg_index i join user_class u on u.oid = i.indexrelid where i.indpred is not null or i.indexprs is not null
union all
select 'function', n.nspname || '.' || p.proname, p.prosrc
from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
where n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg\_%'
  and not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
                  and d.objid = p.oid and d.deptype = 'e')
union all
select 'trigger', u.name || '.' || t.tgname, pg_catalog.pg_get_triggerdef(t.oid)
from pg_catalog.pg_trigger t join user_class u on u.oid = t.tgrelid where not t.tgisinternal
union all
select 'policy', u.name || '.' || p.polname,
       concat_ws(' ', pg_catalog.pg_get_expr(p.polqual, p.polrelid), pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid))
from pg_catalog.pg_policy p join user_class u on u.oid = p.polrelid
union all
select 'comment', (pg_catalog.pg_identify_object(d.classoid, d.objoid, d.objsubid)).identity, d.description
from pg_catalog.pg_description d
where d.objoid >= 16384
  and d.classoid <> 'pg_catalog.pg_extension'::pg_catalog.regclass
  and not exists (select from pg_catalog.pg_depend e where e.classid = d.classoid and e.objid = d.objoid and e.deptype = 'e')
order by 1, 2
