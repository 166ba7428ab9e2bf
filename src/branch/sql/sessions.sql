-- Who is in a database, one sentence for each role, most sessions first. Of others' sessions a role without
-- pg_monitor sees who and where, and no more. No lock. All versions.
select sentence from (
    select pg_catalog.count(*) as sessions,
           pg_catalog.format('%s session(s) of %s', pg_catalog.count(*),
               coalesce(usename::text, 'the server itself')) as sentence
    from pg_catalog.pg_stat_activity
    where datname = $database and pid <> pg_catalog.pg_backend_pid()
      and backend_type is distinct from 'autovacuum worker'
    group by usename
    union all
    select 0, pg_catalog.format('%s prepared transaction(s)', pg_catalog.count(*))
    from pg_catalog.pg_prepared_xacts where database = $database having pg_catalog.count(*) > 0
) found order by sessions desc, sentence
