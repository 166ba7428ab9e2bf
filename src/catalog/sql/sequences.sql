-- User sequences with the column that owns them, else one whose default draws from them. Locks: ACCESS SHARE on catalogs. PostgreSQL 14+.
select n.nspname::text as schema, c.relname::text as name,
       tn.nspname::text as owner_schema, t.relname::text as owner_table, a.attname::text as owner_column
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join lateral (
    select 1 as rank, d.refobjid as relation, d.refobjsubid as attnum
    from pg_catalog.pg_depend d
    where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid
      and d.refclassid = d.classid and d.deptype in ('a', 'i') and d.refobjsubid > 0
    union all
    select 2, f.adrelid, f.adnum
    from pg_catalog.pg_depend d
    join pg_catalog.pg_attrdef f on f.oid = d.objid
    where d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
      and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid = c.oid
    order by 1, 2, 3 limit 1
) used on true
left join pg_catalog.pg_class t on t.oid = used.relation
left join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
left join pg_catalog.pg_attribute a on a.attrelid = used.relation and a.attnum = used.attnum
where c.relkind = 'S' and c.relpersistence <> 't'
  and n.nspname not in ('pg_catalog', 'information_schema', 'backlot')
  and not exists (select from pg_catalog.pg_depend e
                  where e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and e.objid = c.oid and e.deptype = 'e')
order by n.nspname collate "C", c.relname collate "C"
