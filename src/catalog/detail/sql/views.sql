-- Views that read tables of one schema, directly or through other views, one row of JSON each; a view comes after those that it reads.
-- $1: schema, $2: schemas of versions, whose views come without their definition. Locks: ACCESS SHARE on catalogs. PostgreSQL 14+.
with recursive edges as (
    select distinct r.ev_class as view, d.refobjid as relation, d.refobjsubid as attnum
    from pg_catalog.pg_depend d
    join pg_catalog.pg_rewrite r on r.oid = d.objid
    where d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
      and d.refobjid <> r.ev_class and r.ev_class >= 16384 -- FirstNormalObjectId
), reached(view, depth) as (
    select e.view, 1 from edges e
    join pg_catalog.pg_class c on c.oid = e.relation
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = $1 and c.relkind in ('r', 'p')
    union
    -- Views cannot read each other in a circle; the bound is for the planner's sake.
    select e.view, r.depth + 1 from reached r join edges e on e.relation = r.view where r.depth < 64
), ranked as (select view, pg_catalog.max(depth) as depth from reached group by view),
-- Each once for all views: they may be thousands.
read as (
    select e.view, rn.nspname as schema, rc.relname as name,
           coalesce(pg_catalog.array_agg(a.attname) filter (where a.attname is not null), '{}') as columns
    from edges e join pg_catalog.pg_class rc on rc.oid = e.relation
    join pg_catalog.pg_namespace rn on rn.oid = rc.relnamespace
    left join pg_catalog.pg_attribute a on a.attrelid = e.relation and a.attnum = e.attnum and e.attnum > 0
    group by e.view, rn.nspname, rc.relname
), reads as (
    select r.view, pg_catalog.json_agg(pg_catalog.json_build_object('schema', r.schema, 'name', r.name, 'columns', r.columns)) as reads
    from read r group by r.view
)
select pg_catalog.json_build_object(
    'schema', n.nspname,
    'name', c.relname,
    'kind', c.relkind,
    'owner', pg_catalog.pg_get_userbyid(c.relowner),
    'definition', case when n.nspname <> all ($2) and c.relkind in ('v', 'm') then pg_catalog.pg_get_viewdef(c.oid) end,
    'options', c.reloptions,
    'comment', pg_catalog.obj_description(c.oid, 'pg_class'),
    'columns', array(select a.attname from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum),
    'defaults', (select pg_catalog.json_object_agg(a.attname, pg_catalog.pg_get_expr(f.adbin, f.adrelid) order by a.attnum)
                 from pg_catalog.pg_attrdef f join pg_catalog.pg_attribute a on a.attrelid = f.adrelid and a.attnum = f.adnum where f.adrelid = c.oid),
    'column_comments', (select pg_catalog.json_object_agg(a.attname, m.description order by a.attnum)
                 from pg_catalog.pg_description m join pg_catalog.pg_attribute a on a.attrelid = m.objoid and a.attnum = m.objsubid
                 where m.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass and m.objoid = c.oid and m.objsubid > 0),
    'has_triggers', c.relhastriggers or (select pg_catalog.count(*) from pg_catalog.pg_rewrite r where r.ev_class = c.oid) > 1,
    'grants', (select pg_catalog.json_agg(pg_catalog.json_build_object(
                   'grantee', case when g.grantee = 0 then null else pg_catalog.pg_get_userbyid(g.grantee) end,
                   'privilege', g.privilege_type, 'is_grantable', g.is_grantable) order by g.grantee, g.privilege_type)
               from pg_catalog.aclexplode(c.relacl) g where g.grantee <> c.relowner),
    'column_grants', (select pg_catalog.json_agg(pg_catalog.json_build_object('column', a.attname,
                   'grantee', case when g.grantee = 0 then null else pg_catalog.pg_get_userbyid(g.grantee) end,
                   'privilege', g.privilege_type, 'is_grantable', g.is_grantable) order by a.attnum, g.grantee, g.privilege_type)
               from pg_catalog.pg_attribute a cross join lateral pg_catalog.aclexplode(a.attacl) g where a.attrelid = c.oid),
    -- Relations that it reads, with columns: an empty list means the row as a whole.
    'reads', w.reads)::text
from ranked r
join pg_catalog.pg_class c on c.oid = r.view
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join reads w on w.view = c.oid
order by r.depth, n.nspname collate "C", c.relname collate "C"
