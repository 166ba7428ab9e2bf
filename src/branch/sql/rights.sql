-- One row: our role, whether it may make databases, whether it may copy this one, whose it is. No lock. All versions.
select r.rolname, r.rolsuper or r.rolcreatedb,
       d.datistemplate or pg_catalog.pg_has_role(d.datdba, 'USAGE'),
       pg_catalog.pg_get_userbyid(d.datdba)
from pg_catalog.pg_roles r, pg_catalog.pg_database d
where r.rolname = current_user and d.datname = $database
