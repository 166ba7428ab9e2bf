-- One line for each object outside of the system and of the state schema, with all that can be
-- set on it and without what differs from one making to the next (oids, attribute numbers, sizes).
with schemas as (
    select n.oid, n.nspname, n.nspacl, n.nspowner from pg_namespace n
    where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'pgroll')
), relations as (
    select c.*, format('%I.%I', s.nspname, c.relname) as name from pg_class c join schemas s on s.oid = c.relnamespace
), settings as (
    select d.classoid, d.objoid, d.objsubid, d.description from pg_description d
)
select 'schema ' || s.nspname || ' ' || s.nspowner::regrole || ' ' || coalesce(s.nspacl::text, '') from schemas s
union all
select concat_ws(' ', 'relation', r.name, r.relkind, r.relowner::regrole, r.relpersistence, r.relispartition,
    r.relrowsecurity, r.relforcerowsecurity, r.relreplident, r.reltablespace, r.reloptions::text, r.relacl::text,
    pg_get_expr(r.relpartbound, r.oid), case when r.relkind = 'p' then pg_get_partkeydef(r.oid) end,
    (select i.inhparent::regclass::text from pg_inherits i where i.inhrelid = r.oid limit 1),
    'comment', (select description from settings d where d.classoid = 'pg_class'::regclass and d.objoid = r.oid and d.objsubid = 0),
    case when r.relkind in ('v', 'm') then pg_get_viewdef(r.oid) end)
from relations r where r.relkind not in ('i', 'I', 't')
union all
select concat_ws(' ', 'column', r.name, a.attname, format_type(a.atttypid, a.atttypmod),
    case when a.attnotnull then 'not null' end, 'default', pg_get_expr(d.adbin, d.adrelid),
    'identity', a.attidentity, 'generated', a.attgenerated, a.attcollation, a.attstorage, a.attcompression,
    coalesce(a.attstattarget, -1), a.attoptions::text, a.attacl::text, a.attinhcount, a.attislocal,
    'place', row_number() over (partition by r.oid order by a.attnum),
    'comment', (select description from settings s where s.classoid = 'pg_class'::regclass and s.objoid = r.oid and s.objsubid = a.attnum))
from relations r join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
left join pg_attrdef d on d.adrelid = r.oid and d.adnum = a.attnum
where r.relkind in ('r', 'p', 'v', 'm', 'f')
union all
select concat_ws(' ', 'constraint', coalesce(r.name, 'domain'), o.conname, o.contype, pg_get_constraintdef(o.oid), o.convalidated,
    o.condeferrable, o.condeferred, o.coninhcount, o.conislocal, o.connoinherit,
    'comment', (select description from settings s where s.classoid = 'pg_constraint'::regclass and s.objoid = o.oid))
from pg_constraint o join schemas n on n.oid = o.connamespace left join relations r on r.oid = o.conrelid
union all
select concat_ws(' ', 'index', pg_get_indexdef(i.indexrelid), i.indisunique, i.indisprimary, i.indisexclusion, i.indimmediate,
    i.indisclustered, i.indisvalid, i.indisready, i.indisreplident, r.reltablespace, r.relispartition,
    (select h.inhparent::regclass::text from pg_inherits h where h.inhrelid = r.oid),
    'comment', (select description from settings s where s.classoid = 'pg_class'::regclass and s.objoid = r.oid and s.objsubid = 0))
from pg_index i join relations r on r.oid = i.indexrelid
union all
select concat_ws(' ', 'sequence', r.name, q.seqtypid::regtype, q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcache, q.seqcycle,
    'owned by', (select concat_ws('.', p.refobjid::regclass, a.attname, p.deptype) from pg_depend p
        join pg_attribute a on a.attrelid = p.refobjid and a.attnum = p.refobjsubid
        where p.classid = 'pg_class'::regclass and p.objid = r.oid and p.deptype in ('a', 'i')))
from pg_sequence q join relations r on r.oid = q.seqrelid
union all
select concat_ws(' ', 'trigger', r.name, pg_get_triggerdef(t.oid), t.tgenabled,
    'comment', (select description from settings s where s.classoid = 'pg_trigger'::regclass and s.objoid = t.oid))
from pg_trigger t join relations r on r.oid = t.tgrelid where not t.tgisinternal
union all
select concat_ws(' ', 'policy', r.name, p.polname, p.polcmd, p.polpermissive,
    (select string_agg(role::regrole::text, ', ' order by role) from unnest(p.polroles) role),
    pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid))
from pg_policy p join relations r on r.oid = p.polrelid
union all
select concat_ws(' ', 'rule', pg_get_ruledef(u.oid)) from pg_rewrite u join relations r on r.oid = u.ev_class
where u.rulename <> '_RETURN'
union all
select concat_ws(' ', 'function', p.proacl::text, case when p.prokind <> 'a' then pg_get_functiondef(p.oid) end)
from pg_proc p join schemas s on s.oid = p.pronamespace
where not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
union all
select concat_ws(' ', 'type', s.nspname, t.typname, t.typtype,
    (select string_agg(e.enumlabel, ', ' order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid))
from pg_type t join schemas s on s.oid = t.typnamespace where t.typtype in ('e', 'd', 'r')
union all
select concat_ws(' ', 'statistics', pg_get_statisticsobjdef(x.oid)) from pg_statistic_ext x join schemas s on s.oid = x.stxnamespace
union all
select concat_ws(' ', 'published', p.pubname, r.name, pg_get_expr(e.prqual, e.prrelid),
    (select string_agg(a.attname, ', ' order by a.attname) from pg_attribute a where a.attrelid = e.prrelid and a.attnum = any (e.prattrs)))
from pg_publication_rel e join pg_publication p on p.oid = e.prpubid join relations r on r.oid = e.prrelid
order by 1
