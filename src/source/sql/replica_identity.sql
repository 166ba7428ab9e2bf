-- Of the given relations: who owns them, what is logged of them, and the key columns of the index that identifies
-- their rows as `RelationGetIndexList` (relcache.c) chooses it: valid, unique, immediate, without a predicate.
-- Order: none. Locks: ACCESS SHARE on catalogs. PostgreSQL 14+.
select c.oid, c.relkind::text as kind, c.relpersistence::text as persistence, c.relreplident::text as setting,
       pg_catalog.pg_get_userbyid(c.relowner)::text as owner,
       pg_catalog.pg_has_role(c.relowner, 'usage') as is_owned,
       key.columns as key_columns, coalesce(key.has_generated, false) as key_has_generated,
       exists (select from pg_catalog.pg_index i where i.indrelid = c.oid and i.indisprimary and not i.indimmediate) as has_deferrable_key,
       exists (select from pg_catalog.pg_attribute a
               where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated <> '') as has_generated
from pg_catalog.pg_class c
left join lateral (
    select pg_catalog.array_agg(a.attname::text order by k.ord) as columns, pg_catalog.bool_or(a.attgenerated <> '') as has_generated
    from pg_catalog.pg_index i
    cross join lateral pg_catalog.unnest(i.indkey::int2[]) with ordinality as k (attnum, ord)
    join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
    where i.indrelid = c.oid and k.ord <= i.indnkeyatts
      and i.indisvalid and i.indisunique and i.indimmediate and i.indpred is null
      and case c.relreplident when 'd' then i.indisprimary when 'i' then i.indisreplident else false end
) key on true
where c.oid = any ($1)
