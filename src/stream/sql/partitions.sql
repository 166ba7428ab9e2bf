-- What makes these partitions: parent, bounds, and how they are partitioned themselves. Attaching rewrites the
-- rows of all columns (tablecmds.c, MergeAttributesIntoExisting): where one is of the very command that made
-- the row type, the table was made as a partition. Made in another way, or below one that was, it may have had
-- rows before it was part of the tree. PostgreSQL 14+.
select n.nspname::text as schema_name, c.relname::text as table_name,
       pn.nspname::text as parent_schema, p.relname::text as parent_name,
       pg_catalog.pg_get_expr(c.relpartbound, c.oid) as bound,
       case when c.relkind = 'p' then pg_catalog.pg_get_partkeydef(c.oid) end as partition_key,
       not exists (select from pg_catalog.pg_partition_ancestors(c.oid) above
                   join pg_catalog.pg_class ac on ac.oid = above.relid and ac.relispartition
                   join pg_catalog.pg_type t on t.oid = ac.reltype
                   where not exists (select from pg_catalog.pg_attribute a where a.attrelid = ac.oid
                                     and a.attnum > 0 and a.xmin = t.xmin and a.cmin = t.cmin)) as is_born
from rows from (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) as wanted (schema_name, table_name)
join pg_catalog.pg_namespace n on n.nspname = wanted.schema_name
join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = wanted.table_name
join pg_catalog.pg_inherits i on i.inhrelid = c.oid and not i.inhdetachpending
join pg_catalog.pg_class p on p.oid = i.inhparent
join pg_catalog.pg_namespace pn on pn.oid = p.relnamespace
where c.relispartition and c.relkind in ('r', 'p')
