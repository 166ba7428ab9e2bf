-- Values that occur more than once, whatever their case, in columns that must not repeat:
-- (column text, duplicates bigint). All zero in the source and in a good copy.
select 'clinic.patients.email'::text as "column", count(email) - count(distinct lower(email::text)) as duplicates from clinic.patients
union all
select 'clinic.patients.ssn'::text as "column", count(ssn) - count(distinct lower(ssn::text)) as duplicates from clinic.patients
union all
select 'clinic.patients.mrn'::text as "column", count(mrn) - count(distinct lower(mrn::text)) as duplicates from clinic.patients
union all
select 'clinic.employees.email'::text as "column", count(email) - count(distinct lower(email::text)) as duplicates from clinic.employees
union all
select 'clinic.employees.ssn'::text as "column", count(ssn) - count(distinct lower(ssn::text)) as duplicates from clinic.employees
union all
select 'clinic.devices.mac'::text as "column", count(mac) - count(distinct lower(mac::text)) as duplicates from clinic.devices
union all
select 'shop.accounts.email'::text as "column", count(email) - count(distinct lower(email::text)) as duplicates from shop.accounts
union all
select 'shop.newsletter.email'::text as "column", count(email) - count(distinct lower(email::text)) as duplicates from shop.newsletter
