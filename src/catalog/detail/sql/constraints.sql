-- Constraints of the tables of one schema, and foreign keys of any schema that refer to them, one row of JSON each. $1: schema.
-- NOT NULL has rows from PostgreSQL 18 on. Locks: ACCESS SHARE on catalogs. PostgreSQL 14+.
select k.conrelid, pg_catalog.json_build_object(
    'schema', n.nspname,
    'table', c.relname,
    'name', k.conname,
    'kind', k.contype,
    -- The columns of an exclusion may stand in expressions and in its predicate alone.
    'columns', case when k.contype = 'x' then array(
                        select a.attname from pg_catalog.pg_attribute a
                        where a.attrelid = k.conrelid and a.attnum > 0 and (a.attnum = any (k.conkey) or exists (
                            select from pg_catalog.pg_depend d
                            where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = k.conindid
                              and d.refclassid = d.classid and d.refobjid = k.conrelid and d.refobjsubid = a.attnum))
                        order by a.attnum)
                    else array(
                        select a.attname from pg_catalog.unnest(k.conkey) with ordinality as key(attnum, ord)
                        join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = key.attnum order by key.ord)
                    end,
    'definition', pg_catalog.pg_get_constraintdef(k.oid),
    'expression', case when k.contype = 'c' then pg_catalog.pg_get_expr(k.conbin, k.conrelid) end,
    'index', case when k.contype in ('p', 'u', 'x') then x.relname end,
    'referenced_index', case when k.contype = 'f' then x.relname end,
    'is_deferrable', k.condeferrable,
    'is_deferred', k.condeferred,
    'is_valid', k.convalidated,
    'no_inherit', k.connoinherit,
    'is_inherited', k.coninhcount > 0 or k.conparentid <> 0,
    'referenced_schema', rn.nspname,
    'referenced_table', r.relname,
    'referenced_columns', array(select a.attname from pg_catalog.unnest(k.confkey) with ordinality as key(attnum, ord)
                     join pg_catalog.pg_attribute a on a.attrelid = k.confrelid and a.attnum = key.attnum order by key.ord),
    'comment', pg_catalog.obj_description(k.oid, 'pg_constraint'))::text
from pg_catalog.pg_constraint k
join pg_catalog.pg_class c on c.oid = k.conrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join pg_catalog.pg_class x on x.oid = k.conindid
left join pg_catalog.pg_class r on r.oid = k.confrelid and k.contype = 'f'
left join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
where k.contype in ('c', 'f', 'n', 'p', 'u', 'x') and c.relkind in ('r', 'p') and (n.nspname = $1 or rn.nspname = $1)
order by n.nspname collate "C", c.relname collate "C", k.conname collate "C"
