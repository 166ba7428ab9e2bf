-- Materialized views that are populated, each after those that it reads, also through views: what a view reads is
-- fewer than what a view that reads it reads. (Oids give no order: CREATE OR REPLACE VIEW may bring in a newer one.)
-- Locks: ACCESS SHARE on catalogs. PostgreSQL 14+.
with recursive reads (reader, relation) as (
    select v.oid, d.refobjid
    from pg_catalog.pg_class v
    join pg_catalog.pg_rewrite r on r.ev_class = v.oid
    join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and d.objid = r.oid
        and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid <> v.oid
    where v.relkind = 'm'
    union
    select reads.reader, d.refobjid
    from reads
    join pg_catalog.pg_rewrite r on r.ev_class = reads.relation and r.ev_type = '1'
    join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and d.objid = r.oid
        and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid <> reads.relation
)
select n.nspname::text, c.relname::text
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'm' and c.relispopulated
order by (select count(*) from reads join pg_catalog.pg_class m on m.oid = reads.relation and m.relkind = 'm'
          where reads.reader = c.oid), c.oid
