-- read_schema: the tables of one schema as the JSON document that pgroll keeps in resulting_schema.
-- Each kind of thing is collected in one pass over its catalog, so that the cost grows with the number
-- of tables and not with its square. Columns of keys stand in the order of the key.
-- Servers: 14 to 18. @state@ is the quoted name of the state schema.
create or replace function @state@.read_schema(schemaname text) returns jsonb
language sql as $function$
with relation as materialized (
    select c.oid, c.relname, pg_catalog.obj_description(c.oid, 'pg_class') as comment
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = schemaname and c.relkind in ('r', 'p')
), key_column as materialized (
    select i.indexrelid, i.indrelid, i.indisprimary, i.indisunique, i.indisexclusion, i.indnkeyatts,
        i.indpred, k.place, a.attname, a.attnum
    from pg_catalog.pg_index i
    join relation r on r.oid = i.indrelid
    cross join lateral pg_catalog.unnest(i.indkey::int2[]) with ordinality as k(attnum, place)
    left join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
    where k.place <= i.indnkeyatts
), alone as (
    select distinct indrelid, attnum from key_column where indisunique and indnkeyatts = 1 and indpred is null
), column_document as (
    select a.attrelid, pg_catalog.jsonb_object_agg(a.attname, pg_catalog.jsonb_build_object(
        'name', a.attname,
        'type', pg_catalog.replace(pg_catalog.replace(pg_catalog.format_type(a.atttypid, a.atttypmod),
            'character varying', 'varchar'), 'timestamp with time zone', 'timestamptz'),
        'default', case when a.attgenerated = '' then pg_catalog.pg_get_expr(d.adbin, d.adrelid) end,
        'nullable', not (a.attnotnull or (t.typtype = 'd' and t.typnotnull)),
        'unique', alone.attnum is not null,
        'comment', pg_catalog.col_description(a.attrelid, a.attnum),
        'enumvalues', (select pg_catalog.array_agg(e.enumlabel order by e.enumsortorder)
            from pg_catalog.pg_enum e where e.enumtypid = t.oid),
        'postgrestype', case t.typtype when 'b' then 'base' when 'c' then 'composite' when 'd' then 'domain'
            when 'e' then 'enum' when 'p' then 'pseudo' when 'r' then 'range' when 'm' then 'multirange' end
    )) as document
    from pg_catalog.pg_attribute a
    join relation r on r.oid = a.attrelid
    join pg_catalog.pg_type t on t.oid = a.atttypid
    left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    left join alone on alone.indrelid = a.attrelid and alone.attnum = a.attnum
    where a.attnum > 0 and not a.attisdropped
    group by a.attrelid
), index_columns as (
    select indexrelid, indrelid, indisprimary, indisunique, indisexclusion,
        coalesce(pg_catalog.jsonb_agg(attname order by place) filter (where attname is not null), '[]') as columns
    from key_column group by indexrelid, indrelid, indisprimary, indisunique, indisexclusion
), index_document as (
    select x.indrelid,
        pg_catalog.jsonb_object_agg(c.relname, pg_catalog.jsonb_build_object(
            'name', c.relname, 'unique', x.indisunique, 'exclusion', x.indisexclusion, 'columns', x.columns,
            'predicate', pg_catalog.pg_get_expr(i.indpred, i.indrelid), 'method', am.amname,
            'definition', pg_catalog.pg_get_indexdef(x.indexrelid)
        )) as document,
        pg_catalog.jsonb_agg(x.columns) filter (where x.indisprimary) -> 0 as primary_key
    from index_columns x
    join pg_catalog.pg_index i on i.indexrelid = x.indexrelid
    join pg_catalog.pg_class c on c.oid = x.indexrelid
    join pg_catalog.pg_am am on am.oid = c.relam
    group by x.indrelid
), rule as (
    select o.oid, o.conname, o.contype, o.conrelid, o.confrelid, o.connoinherit, o.conindid,
        o.confmatchtype, o.confdeltype, o.confupdtype, pg_catalog.pg_get_constraintdef(o.oid) as definition,
        (select coalesce(pg_catalog.jsonb_agg(a.attname order by k.place), '[]')
         from pg_catalog.unnest(o.conkey) with ordinality as k(attnum, place)
         join pg_catalog.pg_attribute a on a.attrelid = o.conrelid and a.attnum = k.attnum) as columns,
        (select coalesce(pg_catalog.jsonb_agg(a.attname order by k.place), '[]')
         from pg_catalog.unnest(o.confkey) with ordinality as k(attnum, place)
         join pg_catalog.pg_attribute a on a.attrelid = o.confrelid and a.attnum = k.attnum) as referenced_columns
    from pg_catalog.pg_constraint o join relation r on r.oid = o.conrelid
    where o.contype in ('c', 'u', 'x', 'f')
), rule_document as (
    select u.conrelid,
        pg_catalog.jsonb_object_agg(u.conname, pg_catalog.jsonb_build_object(
            'name', u.conname, 'columns', u.columns, 'definition', u.definition, 'noInherit', u.connoinherit
        )) filter (where u.contype = 'c') as checks,
        pg_catalog.jsonb_object_agg(u.conname, pg_catalog.jsonb_build_object(
            'name', u.conname, 'columns', u.columns)) filter (where u.contype = 'u') as uniques,
        pg_catalog.jsonb_object_agg(u.conname, pg_catalog.jsonb_build_object(
            'name', u.conname, 'columns', u.columns, 'definition', u.definition,
            'predicate', pg_catalog.pg_get_expr(i.indpred, i.indrelid), 'method', am.amname
        )) filter (where u.contype = 'x') as exclusions,
        pg_catalog.jsonb_object_agg(u.conname, pg_catalog.jsonb_build_object(
            'name', u.conname, 'columns', u.columns, 'referencedTable', f.relname,
            'referencedColumns', u.referenced_columns,
            'matchType', case u.confmatchtype when 'f' then 'FULL' when 'p' then 'PARTIAL' else 'SIMPLE' end,
            'onDelete', case u.confdeltype when 'a' then 'NO ACTION' when 'r' then 'RESTRICT'
                when 'c' then 'CASCADE' when 'd' then 'SET DEFAULT' else 'SET NULL' end,
            'onUpdate', case u.confupdtype when 'a' then 'NO ACTION' when 'r' then 'RESTRICT'
                when 'c' then 'CASCADE' when 'd' then 'SET DEFAULT' else 'SET NULL' end
        )) filter (where u.contype = 'f') as foreign_keys
    from rule u
    left join pg_catalog.pg_class f on f.oid = u.confrelid
    left join pg_catalog.pg_class x on x.oid = u.conindid and u.contype = 'x'
    left join pg_catalog.pg_index i on i.indexrelid = x.oid
    left join pg_catalog.pg_am am on am.oid = x.relam
    group by u.conrelid
)
select pg_catalog.jsonb_build_object('name', schemaname, 'tables', coalesce(
    pg_catalog.jsonb_object_agg(r.relname, pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
        'name', r.relname, 'oid', r.oid::text, 'comment', r.comment, 'columns', c.document,
        'primaryKey', i.primary_key, 'indexes', i.document, 'checkConstraints', u.checks,
        'uniqueConstraints', u.uniques, 'excludeConstraints', u.exclusions, 'foreignKeys', u.foreign_keys
    ))), '{}'))
from relation r
left join column_document c on c.attrelid = r.oid
left join index_document i on i.indrelid = r.oid
left join rule_document u on u.conrelid = r.oid
$function$;
