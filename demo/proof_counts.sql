-- Rows per table: ("table" text, row_count bigint). Equal in the source and in a full copy.
select 'clinic.facilities'::text as "table", count(*) as row_count from clinic.facilities
union all
select 'clinic.employees'::text as "table", count(*) as row_count from clinic.employees
union all
select 'clinic.patients'::text as "table", count(*) as row_count from clinic.patients
union all
select 'clinic.insurers'::text as "table", count(*) as row_count from clinic.insurers
union all
select 'clinic.policies'::text as "table", count(*) as row_count from clinic.policies
union all
select 'clinic.appointments'::text as "table", count(*) as row_count from clinic.appointments
union all
select 'clinic.lab_results'::text as "table", count(*) as row_count from clinic.lab_results
union all
select 'clinic.notes'::text as "table", count(*) as row_count from clinic.notes
union all
select 'clinic.prescriptions'::text as "table", count(*) as row_count from clinic.prescriptions
union all
select 'clinic.devices'::text as "table", count(*) as row_count from clinic.devices
union all
select 'clinic.claims'::text as "table", count(*) as row_count from clinic.claims
union all
select 'clinic.access_log'::text as "table", count(*) as row_count from clinic.access_log
union all
select 'shop.accounts'::text as "table", count(*) as row_count from shop.accounts
union all
select 'shop.addresses'::text as "table", count(*) as row_count from shop.addresses
union all
select 'shop.categories'::text as "table", count(*) as row_count from shop.categories
union all
select 'shop.products'::text as "table", count(*) as row_count from shop.products
union all
select 'shop.orders'::text as "table", count(*) as row_count from shop.orders
union all
select 'shop.order_items'::text as "table", count(*) as row_count from shop.order_items
union all
select 'shop.payments'::text as "table", count(*) as row_count from shop.payments
union all
select 'shop.reviews'::text as "table", count(*) as row_count from shop.reviews
union all
select 'shop.sessions'::text as "table", count(*) as row_count from shop.sessions
union all
select 'shop.newsletter'::text as "table", count(*) as row_count from shop.newsletter
union all
select 'shop.audit'::text as "table", count(*) as row_count from shop.audit
