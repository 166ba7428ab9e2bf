-- Of `user_tables`, by schema and name in C order. Locks: ACCESS SHARE on catalogs. PostgreSQL 14+.
select c.oid, u.schema, u.name, c.relkind::text as kind,
       case when c.relkind = 'r' then pg_catalog.pg_relation_size(c.oid) else 0 end as size_bytes,
       c.reltuples::float8 as reltuples,
       coalesce(a.amname = 'heap', false) as is_heap,
       c.relrowsecurity as row_security,
       u.is_partition,
       pg_catalog.obj_description(c.oid, 'pg_class') as comment,
       coalesce(pg_catalog.has_table_privilege(c.oid, 'select'), false) as is_readable,
       coalesce((select pg_catalog.array_agg(att.attname::text order by key.ord)
                 from pg_catalog.pg_index i
                 cross join lateral pg_catalog.unnest(i.indkey::int2[]) with ordinality as key(attnum, ord)
                 join pg_catalog.pg_attribute att on att.attrelid = c.oid and att.attnum = key.attnum
                 where i.indrelid = c.oid and i.indisprimary and key.ord <= i.indnkeyatts), '{}') as primary_key,
       coalesce((select pg_catalog.array_agg(pn.nspname::text order by h.inhseqno)
                 from pg_catalog.pg_inherits h join pg_catalog.pg_class p on p.oid = h.inhparent
                 join pg_catalog.pg_namespace pn on pn.oid = p.relnamespace where h.inhrelid = c.oid), '{}') as parent_schemas,
       coalesce((select pg_catalog.array_agg(p.relname::text order by h.inhseqno)
                 from pg_catalog.pg_inherits h join pg_catalog.pg_class p on p.oid = h.inhparent
                 where h.inhrelid = c.oid), '{}') as parent_names,
       -- Enums hash by oid, and whatever may hold one.
       exists (select from pg_catalog.pg_partitioned_table pt
               cross join lateral pg_catalog.unnest(pt.partclass::oid[]) as key(opclass)
               join pg_catalog.pg_opclass o on o.oid = key.opclass
               where pt.partrelid = c.oid and pt.partstrat = 'h'
                 and o.opcintype in ('anyenum'::pg_catalog.regtype, 'anyarray'::pg_catalog.regtype, 'record'::pg_catalog.regtype,
                                     'anyrange'::pg_catalog.regtype, 'anymultirange'::pg_catalog.regtype)) as hashes_oids,
       coalesce((select pg_catalog.array_agg(distinct att.attname::text)
                 from pg_catalog.pg_partitioned_table pt
                 join pg_catalog.pg_attribute att on att.attrelid = pt.partrelid
                 where pt.partrelid = c.oid
                   and (att.attnum = any (pt.partattrs::int2[])
                        or exists (select from pg_catalog.pg_depend d
                                   where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.objsubid = 0
                                     and d.refclassid = d.classid and d.refobjid = c.oid and d.refobjsubid = att.attnum
                                     and d.deptype = 'i'))), '{}') as partition_columns
from user_tables u
join pg_catalog.pg_class c on c.oid = u.oid
left join pg_catalog.pg_am a on a.oid = c.relam
order by u.schema collate "C", u.name collate "C"
