-- What a database has and a clone does not take along, counted. Locks: ACCESS SHARE on catalogs. PostgreSQL 14+.
select (select count(*) from pg_catalog.pg_largeobject_metadata) as large_objects,
       (select count(s.oid) from pg_catalog.pg_subscription s join pg_catalog.pg_database d on d.oid = s.subdbid
        where d.datname = pg_catalog.current_database()) as subscriptions,
       (select count(*) from pg_catalog.pg_user_mappings) as user_mappings,
       (select count(*) from pg_catalog.pg_seclabel) as security_labels
