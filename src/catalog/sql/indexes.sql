-- Valid indexes of user tables with the columns that they read. Locks: ACCESS SHARE on catalogs. PostgreSQL 14+.
select i.indrelid as table_oid, x.relname::text as name, i.indisunique as is_unique,
       i.indexprs is not null as has_expressions, i.indpred is not null as is_partial,
       coalesce((select pg_catalog.array_agg(distinct att.attname::text)
                 from pg_catalog.pg_attribute att
                 where att.attrelid = i.indrelid and att.attnum > 0
                   and (att.attnum = any ((i.indkey::int2[])[0:i.indnkeyatts - 1])
                        or (i.indexprs is not null and exists (
                            select from pg_catalog.pg_depend d
                            where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = i.indexrelid
                              and d.refclassid = d.classid and d.refobjid = i.indrelid and d.refobjsubid = att.attnum)))), '{}') as columns
from pg_catalog.pg_index i
join pg_catalog.pg_class x on x.oid = i.indexrelid
join pg_catalog.pg_namespace n on n.oid = x.relnamespace
where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'backlot')
order by i.indrelid, x.relname collate "C"
