-- Columns of the relation of the given schema and name, in attribute order, for binding a relation of the stream to it.
-- No row: there is no such table. Needs no search_path. Locks: ACCESS SHARE on catalogs. PostgreSQL 14+.
-- equality: of the operator class of the replica identity's index, of the primary key, of any other unique index, else the
-- type's default class; none for types whose equality could only be found when it is run (composites, arrays of them).
with relation as (
    select c.oid, c.relkind
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = $schema and c.relname = $name and c.relkind in ('r', 'p')
), indexed as (
    select distinct on (k.attnum) k.attnum, i.indclass[k.position - 1] as class
    from relation r
    join pg_catalog.pg_index i on i.indrelid = r.oid and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
    cross join lateral pg_catalog.unnest(i.indkey::pg_catalog.int2[]) with ordinality k (attnum, position)
    where k.position <= i.indnkeyatts
    order by k.attnum, i.indisreplident desc, i.indisprimary desc, i.indexrelid
), attribute as (
    select a.attnum, a.attname, a.attgenerated, a.attidentity, t.oid as type, t.typarray, t.typdelim, tn.nspname, t.typname,
           base.oid as base,
           -- What an array is an array of, for equality.
           case when base.typsubscript::text = 'array_subscript_handler' then base.typelem else base.oid end as item,
           base.typsubscript::text = 'array_subscript_handler' as is_array,
           -- unnest makes columns of their fields.
           base.typtype = 'c' as is_composite
    from relation r
    join pg_catalog.pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
    join pg_catalog.pg_type t on t.oid = a.atttypid
    join pg_catalog.pg_namespace tn on tn.oid = t.typnamespace
    cross join lateral (
        with recursive layers as (
            select t.oid, t.typbasetype, 0 as depth
            union all
            select b.oid, b.typbasetype, l.depth + 1 from layers l join pg_catalog.pg_type b on b.oid = l.typbasetype
        )
        select b.* from layers l join pg_catalog.pg_type b on b.oid = l.oid order by l.depth desc limit 1
    ) base
)
select a.attname::text as name, a.type as type_oid,
       case when a.nspname = 'pg_catalog' then pg_catalog.format_type(a.type, -1)
            else pg_catalog.quote_ident(a.nspname) || '.' || pg_catalog.quote_ident(a.typname) end as type_name,
       (a.is_array or a.is_composite or a.typarray = 0 or a.typdelim <> ',')::pg_catalog.int4 as is_array,
       (a.attgenerated = '')::pg_catalog.int4 as is_written,
       (a.attidentity = 'a')::pg_catalog.int4 as is_identity_always,
       equality.operator as equality,
       (select pg_catalog.array_position(i.indkey::pg_catalog.int2[], a.attnum) from pg_catalog.pg_index i
        where i.indrelid = r.oid and i.indisprimary) as primary_key_position,
       (r.relkind = 'p')::pg_catalog.int4 as is_partitioned
from relation r
cross join attribute a
left join indexed x on x.attnum = a.attnum
left join lateral (
    select oc.oid
    from pg_catalog.pg_type item
    join pg_catalog.pg_opclass oc on oc.opcdefault
     and (oc.opcintype = item.oid
          or oc.opcintype = case item.typtype when 'e' then 'pg_catalog.anyenum'::pg_catalog.regtype
                                              when 'r' then 'pg_catalog.anyrange'::pg_catalog.regtype
                                              when 'm' then 'pg_catalog.anymultirange'::pg_catalog.regtype end
          or exists (select from pg_catalog.pg_cast k where k.castsource = item.oid and k.casttarget = oc.opcintype
                     and k.castmethod = 'b' and k.castcontext = 'i'))
    join pg_catalog.pg_am m on m.oid = oc.opcmethod and m.amname in ('btree', 'hash')
    where item.oid = a.item
    order by oc.opcintype = item.oid desc, m.amname limit 1
) fallback on true
left join lateral (
    select 'operator(' || pg_catalog.quote_ident(n.nspname) || '.' || o.oprname || ')' as operator
    from pg_catalog.pg_opclass oc
    join pg_catalog.pg_am m on m.oid = oc.opcmethod
    join pg_catalog.pg_amop p on p.amopfamily = oc.opcfamily and p.amoplefttype = oc.opcintype and p.amoprighttype = oc.opcintype
     and p.amopstrategy = case m.amname when 'btree' then 3 else 1 end
    join pg_catalog.pg_operator o on o.oid = p.amopopr
    join pg_catalog.pg_namespace n on n.oid = o.oprnamespace
    where oc.oid = coalesce(x.class, case when a.is_array and fallback.oid is not null
        then (select d.oid from pg_catalog.pg_opclass d join pg_catalog.pg_am dm on dm.oid = d.opcmethod and dm.amname = 'btree'
              where d.opcdefault and d.opcintype = 'pg_catalog.anyarray'::pg_catalog.regtype) else fallback.oid end)
    limit 1
) equality on true
order by a.attnum
