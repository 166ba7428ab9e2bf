-- One row: our role, whether it may make databases, whether it may copy this one, whose it is, and whether that is a
-- superuser. No lock. All versions.
select r.rolname, r.rolsuper or r.rolcreatedb,
       d.datistemplate or pg_catalog.pg_has_role(d.datdba, 'USAGE'),
       pg_catalog.pg_get_userbyid(d.datdba), o.rolsuper
from pg_catalog.pg_roles r, pg_catalog.pg_database d
join pg_catalog.pg_roles o on o.oid = d.datdba
where r.rolname = current_user and d.datname = $database
