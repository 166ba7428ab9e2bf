-- Settings of a database for all roles, as `name=value`, in their order. No lock. All versions.
select c.setting
from pg_catalog.pg_db_role_setting s
join pg_catalog.pg_database d on d.oid = s.setdatabase
cross join lateral pg_catalog.unnest(s.setconfig) with ordinality as c(setting, place)
where d.datname = $database and s.setrole = 0
order by c.place
