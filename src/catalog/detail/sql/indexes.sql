-- Indexes of the tables of one schema, one row of JSON each. $1: schema. Locks: ACCESS SHARE on catalogs. PostgreSQL 14+.
select i.indrelid, pg_catalog.json_build_object(
    'name', x.relname,
    'definition', pg_catalog.pg_get_indexdef(i.indexrelid),
    'is_unique', i.indisunique,
    'is_primary', i.indisprimary,
    'is_exclusion', i.indisexclusion,
    'is_immediate', i.indimmediate,
    'is_valid', i.indisvalid,
    'is_replica_identity', i.indisreplident,
    'is_clustered', i.indisclustered,
    'is_partial', i.indpred is not null,
    'is_inherited', x.relispartition,
    'parent', (select p.relname from pg_catalog.pg_inherits h join pg_catalog.pg_class p on p.oid = h.inhparent where h.inhrelid = i.indexrelid),
    'constraint', k.conname,
    -- NULL for an expression.
    'key_columns', array(select a.attname from pg_catalog.unnest(i.indkey::int2[]) with ordinality as key(attnum, ord)
                         left join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = key.attnum and key.attnum > 0
                         where key.ord <= i.indnkeyatts order by key.ord),
    -- All that it reads: keys, INCLUDE, expressions, predicate.
    'columns', array(select a.attname from pg_catalog.pg_attribute a
                     where a.attrelid = i.indrelid and a.attnum > 0
                       and (a.attnum = any (i.indkey::int2[])
                            or ((i.indexprs is not null or i.indpred is not null) and exists (
                                select from pg_catalog.pg_depend d
                                where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = i.indexrelid
                                  and d.refclassid = d.classid and d.refobjid = i.indrelid and d.refobjsubid = a.attnum)))
                     order by a.attnum),
    'tablespace', s.spcname,
    'statistics', (select pg_catalog.json_agg(pg_catalog.json_build_object('number', a.attnum, 'target', a.attstattarget) order by a.attnum)
                   from pg_catalog.pg_attribute a where a.attrelid = i.indexrelid and a.attstattarget >= 0),
    'comment', pg_catalog.obj_description(i.indexrelid, 'pg_class'))::text
from pg_catalog.pg_index i
join pg_catalog.pg_class c on c.oid = i.indrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_class x on x.oid = i.indexrelid
-- conindid has no index of its own: joined once, not looked up for each.
left join pg_catalog.pg_constraint k on k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x') and k.conrelid = i.indrelid
left join pg_catalog.pg_tablespace s on s.oid = x.reltablespace
where c.relkind in ('r', 'p') and c.relpersistence <> 't' and n.nspname = $1
order by i.indrelid, x.relname collate "C"
