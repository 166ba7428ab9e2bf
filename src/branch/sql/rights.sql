-- One row: our role, whether it may make databases, and the owner of a database. No lock. All versions.
select r.rolname, r.rolsuper or r.rolcreatedb, pg_catalog.pg_get_userbyid(d.datdba)
from pg_catalog.pg_roles r, pg_catalog.pg_database d
where r.rolname = current_user and d.datname = $database
