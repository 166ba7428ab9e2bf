-- Rows that point at nothing, per reference: (reference text, declared boolean, orphans bigint),
-- in the order below. All zero in the source; all zero in a copy that kept its integrity.
-- Takes no lock beyond access share. PostgreSQL 12 or later.
select 'clinic.employees(manager_id) -> clinic.employees(id)'::text as reference, true as declared, count(*) as orphans
from clinic.employees c where c.manager_id is not null
    and not exists (select from clinic.employees p where p.id = c.manager_id)
union all
select 'clinic.employees(facility_id) -> clinic.facilities(id)'::text as reference, true as declared, count(*) as orphans
from clinic.employees c where c.facility_id is not null
    and not exists (select from clinic.facilities p where p.id = c.facility_id)
union all
select 'clinic.patients(primary_doctor) -> clinic.employees(id)'::text as reference, true as declared, count(*) as orphans
from clinic.patients c where c.primary_doctor is not null
    and not exists (select from clinic.employees p where p.id = c.primary_doctor)
union all
select 'clinic.policies(insurer_id) -> clinic.insurers(id)'::text as reference, true as declared, count(*) as orphans
from clinic.policies c where c.insurer_id is not null
    and not exists (select from clinic.insurers p where p.id = c.insurer_id)
union all
select 'clinic.policies(patient_id) -> clinic.patients(id)'::text as reference, true as declared, count(*) as orphans
from clinic.policies c where c.patient_id is not null
    and not exists (select from clinic.patients p where p.id = c.patient_id)
union all
select 'clinic.appointments(patient_id) -> clinic.patients(id)'::text as reference, true as declared, count(*) as orphans
from clinic.appointments c where c.patient_id is not null
    and not exists (select from clinic.patients p where p.id = c.patient_id)
union all
select 'clinic.appointments(employee_id) -> clinic.employees(id)'::text as reference, true as declared, count(*) as orphans
from clinic.appointments c where c.employee_id is not null
    and not exists (select from clinic.employees p where p.id = c.employee_id)
union all
select 'clinic.lab_results(appointment_id, starts_at) -> clinic.appointments(id, starts_at)'::text as reference, true as declared, count(*) as orphans
from clinic.lab_results c where c.appointment_id is not null and c.starts_at is not null
    and not exists (select from clinic.appointments p where p.id = c.appointment_id and p.starts_at = c.starts_at)
union all
select 'clinic.notes(patient_id) -> clinic.patients(id)'::text as reference, true as declared, count(*) as orphans
from clinic.notes c where c.patient_id is not null
    and not exists (select from clinic.patients p where p.id = c.patient_id)
union all
select 'clinic.notes(author_id) -> clinic.employees(id)'::text as reference, true as declared, count(*) as orphans
from clinic.notes c where c.author_id is not null
    and not exists (select from clinic.employees p where p.id = c.author_id)
union all
select 'clinic.prescriptions(patient_id) -> clinic.patients(id)'::text as reference, true as declared, count(*) as orphans
from clinic.prescriptions c where c.patient_id is not null
    and not exists (select from clinic.patients p where p.id = c.patient_id)
union all
select 'clinic.devices(patient_id) -> clinic.patients(id)'::text as reference, true as declared, count(*) as orphans
from clinic.devices c where c.patient_id is not null
    and not exists (select from clinic.patients p where p.id = c.patient_id)
union all
select 'clinic.claims(insurer_id, policy_number) -> clinic.policies(insurer_id, policy_number)'::text as reference, true as declared, count(*) as orphans
from clinic.claims c where c.insurer_id is not null and c.policy_number is not null
    and not exists (select from clinic.policies p where p.insurer_id = c.insurer_id and p.policy_number = c.policy_number)
union all
select 'shop.addresses(account_email) -> shop.accounts(email)'::text as reference, true as declared, count(*) as orphans
from shop.addresses c where c.account_email is not null
    and not exists (select from shop.accounts p where p.email = c.account_email)
union all
select 'shop.categories(parent_id) -> shop.categories(id)'::text as reference, true as declared, count(*) as orphans
from shop.categories c where c.parent_id is not null
    and not exists (select from shop.categories p where p.id = c.parent_id)
union all
select 'shop.products(category_id) -> shop.categories(id)'::text as reference, true as declared, count(*) as orphans
from shop.products c where c.category_id is not null
    and not exists (select from shop.categories p where p.id = c.category_id)
union all
select 'shop.order_items(sku) -> shop.products(sku)'::text as reference, true as declared, count(*) as orphans
from shop.order_items c where c.sku is not null
    and not exists (select from shop.products p where p.sku = c.sku)
union all
select 'shop.order_items(order_id, region) -> shop.orders(id, region)'::text as reference, true as declared, count(*) as orphans
from shop.order_items c where c.order_id is not null and c.region is not null
    and not exists (select from shop.orders p where p.id = c.order_id and p.region = c.region)
union all
select 'shop.payments(account_email) -> shop.accounts(email)'::text as reference, true as declared, count(*) as orphans
from shop.payments c where c.account_email is not null
    and not exists (select from shop.accounts p where p.email = c.account_email)
union all
select 'shop.payments(order_id, region) -> shop.orders(id, region)'::text as reference, true as declared, count(*) as orphans
from shop.payments c where c.order_id is not null and c.region is not null
    and not exists (select from shop.orders p where p.id = c.order_id and p.region = c.region)
union all
select 'shop.reviews(account_email) -> shop.accounts(email)'::text as reference, true as declared, count(*) as orphans
from shop.reviews c where c.account_email is not null
    and not exists (select from shop.accounts p where p.email = c.account_email)
union all
select 'shop.reviews(sku) -> shop.products(sku)'::text as reference, true as declared, count(*) as orphans
from shop.reviews c where c.sku is not null
    and not exists (select from shop.products p where p.sku = c.sku)
union all
select 'shop.sessions(account_email) -> shop.accounts(email)'::text as reference, true as declared, count(*) as orphans
from shop.sessions c where c.account_email is not null
    and not exists (select from shop.accounts p where p.email = c.account_email)
union all
select 'clinic.access_log(employee_email) -> clinic.employees(email)'::text as reference, false as declared, count(*) as orphans
from clinic.access_log c where c.employee_email is not null
    and not exists (select from clinic.employees p where p.email::text = c.employee_email::text)
union all
select 'clinic.access_log(patient_mrn) -> clinic.patients(mrn)'::text as reference, false as declared, count(*) as orphans
from clinic.access_log c where c.patient_mrn is not null
    and not exists (select from clinic.patients p where p.mrn::text = c.patient_mrn::text)
union all
select 'shop.accounts(patient_mrn) -> clinic.patients(mrn)'::text as reference, false as declared, count(*) as orphans
from shop.accounts c where c.patient_mrn is not null
    and not exists (select from clinic.patients p where p.mrn::text = c.patient_mrn::text)
union all
select 'shop.orders(customer_email) -> shop.accounts(email)'::text as reference, false as declared, count(*) as orphans
from shop.orders c where c.customer_email is not null
    and not exists (select from shop.accounts p where p.email::text = c.customer_email::text)
