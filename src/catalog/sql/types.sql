-- All types that a column may have, with what they are made of. Locks: ACCESS SHARE on catalogs. PostgreSQL 14+.
select t.oid, t.typname::text as name, t.typtype::text as type_type, t.typcategory::text as category,
       t.typelem as element, t.typbasetype as base, t.typtypmod as type_modifier,
       t.typsend <> 0 and t.typreceive <> 0 as has_binary,
       t.typsubscript::text = 'array_subscript_handler' as is_array,
       coalesce(r.rngsubtype, m.rngsubtype, 0::pg_catalog.oid) as range_subtype,
       case when t.typtype = 'c' then array(select a.atttypid from pg_catalog.pg_attribute a
             where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped order by a.attnum) else '{}' end as fields,
       case when t.typtype = 'e' then array(select e.enumlabel::text from pg_catalog.pg_enum e
             where e.enumtypid = t.oid order by e.enumsortorder) else '{}' end as labels
from pg_catalog.pg_type t
left join pg_catalog.pg_range r on r.rngtypid = t.oid
left join pg_catalog.pg_range m on m.rngmultitypid = t.oid
where t.typtype <> 'p'
