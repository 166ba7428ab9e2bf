-- Tables of one schema, one row of JSON each, by name in C order. $1: schema. Locks: ACCESS SHARE on catalogs. PostgreSQL 14+.
select c.oid, pg_catalog.json_build_object(
    'name', c.relname,
    'kind', c.relkind,
    'owner', pg_catalog.pg_get_userbyid(c.relowner),
    'comment', pg_catalog.obj_description(c.oid, 'pg_class'),
    'is_partition', c.relispartition,
    'parents', (select pg_catalog.json_agg(pg_catalog.json_build_object('schema', pn.nspname, 'name', p.relname) order by h.inhseqno)
                from pg_catalog.pg_inherits h join pg_catalog.pg_class p on p.oid = h.inhparent
                join pg_catalog.pg_namespace pn on pn.oid = p.relnamespace where h.inhrelid = c.oid),
    -- Columns that the partition key reads.
    'partition_key', (select pg_catalog.json_agg(distinct att.attname)
                      from pg_catalog.pg_partitioned_table pt
                      join pg_catalog.pg_attribute att on att.attrelid = pt.partrelid
                      where pt.partrelid = c.oid
                        and (att.attnum = any (pt.partattrs::int2[])
                             or exists (select from pg_catalog.pg_depend d
                                        where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.objsubid = 0
                                          and d.refclassid = d.classid and d.refobjid = c.oid and d.refobjsubid = att.attnum and d.deptype = 'i'))),
    'replica_identity', c.relreplident,
    'row_security', c.relrowsecurity,
    'force_row_security', c.relforcerowsecurity,
    'row_estimate', case when c.reltuples >= 0 then c.reltuples::int8 end,
    'size_bytes', case when c.relkind = 'r' then pg_catalog.pg_relation_size(c.oid) else 0 end,
    'is_heap', coalesce(a.amname = 'heap', false),
    'grants', (select pg_catalog.json_agg(pg_catalog.json_build_object(
                   'grantee', case when g.grantee = 0 then null else pg_catalog.pg_get_userbyid(g.grantee) end,
                   'privilege', g.privilege_type, 'is_grantable', g.is_grantable) order by g.grantee, g.privilege_type)
               from pg_catalog.aclexplode(c.relacl) g where g.grantee <> c.relowner))::text
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join pg_catalog.pg_am a on a.oid = c.relam
where c.relkind in ('r', 'p') and c.relpersistence <> 't' and n.nspname = $1
  and not exists (select from pg_catalog.pg_depend d
                  where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.deptype = 'e')
order by c.relname collate "C"
