-- The demo's rows: about 220 000, made from word lists and md5, so that every load gives the same
-- ones on every version. The persons are invented; the e-mail domains (.example), the phone
-- exchange (555) and the addresses (10/8, 100.64/10) belong to nobody.
-- Run after schema.sql, as one call or through psql. Helpers live in pg_temp and go with the session;
-- each is one expression, so that the planner puts it in line (a call costs more than its work).

-- Person n is the same human everywhere: patient n, account n, the author of their orders.
create function pg_temp.h(n bigint, salt text) returns bigint language sql immutable as $$
    select ('x' || substr(md5(salt || n::text), 1, 7))::bit(28)::int::bigint
$$;
create function pg_temp.first_names(k bigint) returns text language sql immutable as $$
    select (array[
        'Mary', 'James', 'Patricia', 'Robert', 'Jennifer', 'John', 'Linda', 'Michael', 'Elizabeth',
        'David', 'Barbara', 'William', 'Susan', 'Richard', 'Jessica', 'Joseph', 'Sarah', 'Thomas',
        'Karen', 'Charles', 'Nancy', 'Daniel', 'Lisa', 'Matthew', 'Betty', 'Anthony', 'Sandra',
        'Mark', 'Ashley', 'Donald', 'Emily', 'Steven', 'Kimberly', 'Andrew', 'Margaret', 'Paul',
        'Donna', 'Joshua', 'Michelle', 'Kenneth', 'Carol', 'Kevin', 'Amanda', 'Brian', 'Melissa',
        'George', 'Deborah', 'Timothy', 'Stephanie', 'Ronald', 'Zoë', 'José', 'Siân', 'Björn',
        'Anaïs', 'Jürgen', 'Łucja', 'Søren', 'Chloé', 'Renée', 'Åsa', 'Máire', 'Noël', 'İpek'
    ])[1 + k % 64]
$$;
create function pg_temp.last_names(k bigint) returns text language sql immutable as $$
    select (array[
        'Smith', 'Johnson', 'Williams', 'Brown', 'Jones', 'Garcia', 'Miller', 'Davis', 'Rodriguez',
        'Martinez', 'Hernandez', 'Lopez', 'Gonzalez', 'Wilson', 'Anderson', 'Thomas', 'Taylor',
        'Moore', 'Jackson', 'Martin', 'Lee', 'Perez', 'Thompson', 'White', 'Harris', 'Sanchez',
        'Clark', 'Ramirez', 'Lewis', 'Robinson', 'Walker', 'Young', 'Allen', 'King', 'Wright',
        'Scott', 'Torres', 'Nguyen', 'Hill', 'Flores', 'Green', 'Adams', 'Nelson', 'Baker', 'Hall',
        'Rivera', 'Campbell', 'Mitchell', 'O''Brien', 'O''Neil', 'van der Berg', 'de la Cruz',
        'Müller', 'Østergaard', 'Lindqvist', 'Kowalczyk', 'Dvořák', 'Saint-Clair', 'Papadopoulos',
        'Yıldız', 'Ó Súilleabháin', 'Nakamura', 'Okonkwo', 'Balakrishnan'
    ])[1 + k % 64]
$$;
create function pg_temp.streets(k bigint) returns text language sql immutable as $$
    select (array[
        'Maple Street', 'Oak Avenue', 'Cedar Lane', 'Pine Road', 'Elm Drive',
        'Washington Boulevard', 'Lake View', 'Hill Crest', 'Sunset Way', 'River Road',
        'Church Street', 'Park Place', 'Mill Lane', 'Highland Avenue', 'Meadow Court',
        'Harbor Drive'
    ])[1 + k % 16]
$$;
create function pg_temp.cities(k bigint) returns text language sql immutable as $$
    select (array[
        'Springfield', 'Portland', 'Austin', 'Denver', 'Madison', 'Salem', 'Albany', 'Boise',
        'Tucson', 'Raleigh', 'Mobile', 'Fresno', 'Dayton', 'Peoria', 'Eugene', 'Laredo'
    ])[1 + k % 16]
$$;
create function pg_temp.states(k bigint) returns text language sql immutable as $$
    select (array[
        'IL', 'OR', 'TX', 'CO', 'WI', 'MA', 'NY', 'ID', 'AZ', 'NC', 'AL', 'CA', 'OH', 'IL', 'OR',
        'TX'
    ])[1 + k % 16]
$$;
create function pg_temp.zips(k bigint) returns text language sql immutable as $$
    select (array[
        '62701', '97201', '73301', '80014', '53703', '01970', '12084', '83701', '85701', '27513',
        '36601', '93650', '45377', '61525', '97401', '78040'
    ])[1 + k % 16]
$$;
create function pg_temp.domains(k bigint) returns text language sql immutable as $$
    select (array[
        'northmail.example', 'post.example', 'inbox.example', 'mailbox.example',
        'fastpost.example', 'clinicmail.example'
    ])[1 + k % 6]
$$;
create function pg_temp.first_name(n bigint) returns text language sql immutable as $$
    select pg_temp.first_names(pg_temp.h(n, 'first'))
$$;
create function pg_temp.last_name(n bigint) returns text language sql immutable as $$
    select pg_temp.last_names(pg_temp.h(n, 'last'))
$$;
create function pg_temp.full_name(n bigint) returns text language sql immutable as $$
    select pg_temp.first_name(n) || ' ' || pg_temp.last_name(n)
$$;
create function pg_temp.street(n bigint) returns text language sql immutable as $$
    select (1 + pg_temp.h(n, 'house') % 2400)::text || ' ' || pg_temp.streets(pg_temp.h(n, 'street'))
$$;
-- Without accents and quotes, so that the local part is one that mail servers take. Every 50th
-- person writes their address with capitals: case is part of what a copy must keep.
create function pg_temp.local_part(n bigint) returns text language sql immutable as $$
    select regexp_replace(pg_temp.first_name(n) || '.' || pg_temp.last_name(n) || n::text, '[^a-zA-Z0-9.]', '', 'g')
$$;
create function pg_temp.email(n bigint) returns text language sql immutable as $$
    select case when n % 50 = 0 then pg_temp.local_part(n) else lower(pg_temp.local_part(n)) end
        || '@' || pg_temp.domains(pg_temp.h(n, 'domain'))
$$;
create function pg_temp.phone(n bigint) returns text language sql immutable as $$
    select (array['(', '+1 ', ''])[1 + n % 3] || (201 + pg_temp.h(n, 'area') % 780)::text
        || (array[') 555-', ' 555 ', '-555-'])[1 + n % 3] || lpad((pg_temp.h(n, 'line') % 10000)::text, 4, '0')
$$;
-- A permutation of n, so that no two persons share a number; area 101 to 650, no part all zero.
create function pg_temp.ssn(n bigint) returns text language sql immutable as $$
    select lpad((101 + n * 7919 % 544445550 / 989901)::text, 3, '0')
        || '-' || lpad((1 + n * 7919 % 544445550 / 9999 % 99)::text, 2, '0')
        || '-' || lpad((1 + n * 7919 % 544445550 % 9999)::text, 4, '0')
$$;
create function pg_temp.mrn(n bigint) returns text language sql immutable as $$
    select 'MRN-' || lpad((n * 73939 % 99999989)::text, 8, '0')
$$;
create function pg_temp.ip(n bigint) returns inet language sql immutable as $$
    select inet '100.64.0.0' + (1 + pg_temp.h(n, 'ip') % 4194302)
$$;
create function pg_temp.at(n bigint, salt text) returns timestamptz language sql immutable as $$
    select timestamptz '2023-01-02 07:00:00+00' + (pg_temp.h(n, salt) % 94000000) * interval '1 second'
$$;
-- A card number with a valid check digit, from a range that issuers keep for tests.
create function pg_temp.card(n bigint) returns text language sql immutable as $$
    select payload || ((10 - sum(case when place % 2 = 1
        then digit * 2 - case when digit > 4 then 9 else 0 end else digit end) % 10) % 10)::text
    from (select '400000' || lpad((pg_temp.h(n, 'card') % 100000000)::text, 9, '0')) as _ (payload),
        generate_series(1, 15) as place,
        lateral (select substr(payload, place, 1)::int) as __ (digit)
    group by payload
$$;

-- clinic ------------------------------------------------------------------------------------

insert into clinic.facilities (id, name, street, city, state, zip, phone, network)
select n, pg_temp.cities(n) || ' ' || (array['General', 'Children''s', 'Women''s', 'Community'])[1 + n % 4] || ' Clinic',
    pg_temp.street(n + 900000), pg_temp.cities(n), pg_temp.states(n), pg_temp.zips(n), pg_temp.phone(n + 900000),
    ('10.' || n || '.0.0/16')::cidr
from generate_series(1, 12) as n;

-- Persons 500 001 and up are staff. Three levels: one head, ten leads, everybody else.
insert into clinic.employees
    (id, manager_id, facility_id, first_name, last_name, email, phone, ssn, job_title, salary, hired_on)
select n, case when n = 1 then null when n <= 11 then 1 else 2 + n % 10 end, 1 + n % 12,
    pg_temp.first_name(500000 + n), pg_temp.last_name(500000 + n), lower(pg_temp.email(500000 + n)),
    pg_temp.phone(500000 + n), pg_temp.ssn(500000 + n),
    (array['Physician', 'Nurse', 'Lab technician', 'Receptionist', 'Pharmacist'])[1 + n % 5],
    42000 + pg_temp.h(n, 'salary') % 190000 + 0.5, date '2001-01-01' + (pg_temp.h(n, 'hired') % 8700)::int
from generate_series(1, 300) as n;

insert into clinic.patients
    (id, mrn, first_name, last_name, email, other_emails, phone, ssn, birth_date, sex, street, city, state, zip,
     contacts, portal_ip, signature, primary_doctor, created_at, updated_at)
overriding system value
select n, pg_temp.mrn(n), pg_temp.first_name(n), pg_temp.last_name(n),
    case when n % 17 = 0 then null else pg_temp.email(n) end,
    case n % 4
        when 0 then '{}'
        when 1 then array[pg_temp.email(n)]
        else array[pg_temp.email(n), 'work' || n || '@' || pg_temp.domains(n), null]
    end,
    case when n % 11 = 0 then null when n % 23 = 0 then '' else pg_temp.phone(n) end,
    case when n % 9 = 0 then null else pg_temp.ssn(n) end,
    date '1926-01-01' + (pg_temp.h(n, 'birth') % 35400)::int,
    (array['female', 'male', 'female', 'male', 'other', 'unknown'])[1 + n % 6]::clinic.sex,
    pg_temp.street(n), pg_temp.cities(c), pg_temp.states(c), pg_temp.zips(c),
    jsonb_build_object(
        'emergency', jsonb_build_object('name', pg_temp.full_name(n + 100000), 'phone', pg_temp.phone(n + 100000)),
        'contacts', case when n % 3 = 0 then '[]'::jsonb else jsonb_build_array(
            jsonb_build_object('name', pg_temp.full_name(n + 200000), 'email', lower(pg_temp.email(n + 200000)),
                'phone', pg_temp.phone(n + 200000), 'relation', 'spouse'),
            jsonb_build_object('name', pg_temp.full_name(n + 300000), 'relation', 'child', 'age', n % 30)) end,
        'preferred', case when n % 2 = 0 then 'phone' else 'email' end),
    case when n % 2 = 0 then pg_temp.ip(n) end,
    case when n % 10 = 0 then decode(md5('signature' || n), 'hex') end,
    1 + n % 300, pg_temp.at(n, 'created'), pg_temp.at(n, 'created')
from generate_series(1, 20000) as n, lateral (select pg_temp.h(n, 'city')) as _ (c);

insert into clinic.insurers (id, name, site)
select n, (array['Blue Harbor', 'Evergreen Health', 'First Mutual', 'Granite Life', 'Lakeshore Care', 'Prairie Shield',
    'Summit Assurance', 'Union Benefit'])[n], 'https://insurer' || n || '.example'
from generate_series(1, 8) as n;

insert into clinic.policies (insurer_id, policy_number, patient_id, holder_name, valid)
select 1 + n % 8, 'P' || lpad((n * 48271 % 9999991)::text, 7, '0'), n, pg_temp.full_name(n),
    daterange(date '2023-01-01' + n % 300, case when n % 5 > 0 then date '2026-01-01' + n % 300 end)
from generate_series(1, 16000) as n;

insert into clinic.appointments (id, starts_at, patient_id, employee_id, status, length, reason)
select n, pg_temp.at(n, 'visit'), 1 + pg_temp.h(n, 'patient') % 20000, 1 + pg_temp.h(n, 'doctor') % 300,
    (array['done', 'done', 'done', 'booked', 'cancelled', 'no_show', 'arrived'])[1 + n % 7]::clinic.visit_status,
    (15 + 15 * (n % 4)) * interval '1 minute',
    (array['annual check', 'cough since a week', 'follow-up', 'vaccination', 'back pain', null])[1 + n % 6]
from generate_series(1, 30000) as n;

insert into clinic.lab_results (appointment_id, starts_at, test_code, value, unit, raw_message)
select a.id, a.starts_at, (array['GLU', 'HBA1C', 'LDL', 'CRP', 'TSH'])[1 + a.id % 5],
    round((40 + pg_temp.h(a.id, 'lab') % 16000 / 100.0)::numeric, 2), 'mg/dL',
    case when a.id % 4 = 0 then 'PID|1||' || p.mrn || '||' || upper(p.last_name) || '^' || upper(p.first_name)
        || '||' || to_char(p.birth_date, 'YYYYMMDD') || '|' || upper(left(p.sex::text, 1)) end
from clinic.appointments a join clinic.patients p on p.id = a.patient_id
where a.id % 3 <> 0 order by a.id;

insert into clinic.notes (id, patient_id, author_id, language, body, written_at)
select n, p.id, 1 + n % 300, l.language, l.body, (p.created_at at time zone 'utc') + n * interval '1 minute'
from generate_series(1, 8000) as n
join clinic.patients p on p.id = 1 + n * 7 % 20000,
lateral (
    select * from (values
        (0, 'en', p.full_name || ' called from ' || coalesce(p.phone, 'a hidden number') || E'.\nReports chest pain since Monday; '
            || 'send results to ' || coalesce(p.email, 'the family doctor') || '.'),
        (1, 'en', 'Pt. lives at ' || p.street || ', ' || p.city || E'.\r\n\r\nDOB ' || to_char(p.birth_date, 'MM/DD/YYYY')
            || ', SSN ' || coalesce(p.ssn::text, 'n/a') || E'.\r\nNo known allergies.'),
        (2, 'de', 'Frau ' || p.last_name || E' klagt über Schlafstörungen. Rückruf unter ' || coalesce(p.phone, '–') || '; größere Sorgen.'),
        (3, 'ru', 'Пациент Иванов Пётр Сергеевич жалуется на головную боль. Телефон: ' || coalesce(p.phone, 'нет')),
        (4, 'zh', '患者王小明，住在北京市朝阳区建国路' || n || '号，主诉咳嗽三天。'),
        (5, 'ja', '患者の田中花子さんは、昨日から発熱があります。電話：' || coalesce(p.phone, 'なし')),
        (6, 'ar', 'المريضة فاطمة الزهراء تشكو من ألم في الظهر منذ أسبوع'),
        (7, 'hi', 'मरीज़ राजेश कुमार को कल से बुखार है।'),
        (8, 'el', 'Η ασθενής Μαρία Παπαδοπούλου αναφέρει ζάλη 😷 και κόπωση.'),
        (9, 'en', ''),
        (10, 'en', null)
    ) as _ (k, language, body) where k = n % 11
) as l;

insert into clinic.prescriptions (id, patient_id, drug, doses_mg, directions)
overriding system value
select n, 1 + n * 13 % 20000, (array['metformin', 'lisinopril', 'atorvastatin', 'amoxicillin', 'levothyroxine'])[1 + n % 5],
    case n % 4 when 0 then '{}' when 1 then array[500, 500, 1000] else array[5 * (1 + n % 20)::int, null, 10] end,
    case when n % 3 = 0 then 'one tablet every morning' else '' end
from generate_series(1, 10000) as n;

insert into clinic.devices (id, patient_id, serial, mac, last_ip, position, calibration)
select md5('device' || n)::uuid, case when n % 10 > 0 then n * 9 % 20000 + 1 end, 'SN' || lpad(n::text, 6, '0'),
    ('02:00:' || regexp_replace(lpad(to_hex(n * 65537), 8, '0'), '(..)(..)(..)(..)', '\1:\2:\3:\4'))::macaddr,
    pg_temp.ip(n + 50000), point(30 + pg_temp.h(n, 'lat') % 19000 / 1000.0, -120 + pg_temp.h(n, 'lon') % 50000 / 1000.0),
    case n % 100 when 0 then 'NaN' when 1 then 'Infinity' else sqrt(n) end
from generate_series(1, 2000) as n;

insert into clinic.claims (id, insurer_id, policy_number, amount, filed_on)
select row_number() over (order by patient_id), insurer_id, policy_number, 20 + pg_temp.h(patient_id, 'claim') % 900000 / 100.0,
    lower(valid) + (patient_id % 200)::int
from clinic.policies where patient_id % 2 = 0;

insert into clinic.access_log (employee_email, patient_mrn, ip, user_agent, at)
select e.email::text, pg_temp.mrn(1 + pg_temp.h(n, 'looked up') % 20000), ('10.' || 1 + n % 12 || '.3.' || 1 + n % 254)::inet,
    'Mozilla/5.0 (X11; Linux x86_64) Workstation/' || n % 40, pg_temp.at(n, 'access')
from generate_series(1, 12000) as n join clinic.employees e on e.id = 1 + n % 300 order by n;

-- shop --------------------------------------------------------------------------------------

insert into shop.accounts (email, name, phone, patient_mrn, marketing, joined_at)
select pg_temp.email(n), pg_temp.full_name(n), case when n % 5 > 0 then pg_temp.phone(n) end,
    case when n <= 20000 and n % 3 > 0 then pg_temp.mrn(n) end, n % 2 = 0, pg_temp.at(n, 'joined')
from generate_series(8001, 23000) as n;

insert into shop.addresses (account_email, label, recipient, street, city, state, zip, location)
select pg_temp.email(n), label, pg_temp.full_name(n), pg_temp.street(n + k), pg_temp.cities(c), pg_temp.states(c), pg_temp.zips(c),
    point(30 + n % 19, -120 + n % 50)
from generate_series(8001, 23000) as n, (values (0, 'home'), (400000, 'work')) as _ (k, label),
    lateral (select pg_temp.h(n, 'city')) as __ (c)
where k = 0 or n % 4 = 0;

insert into shop.categories (id, parent_id, name) values
    (1, null, 'Everything'), (2, 1, 'Pharmacy'), (3, 1, 'Aids'), (4, 2, 'Vitamins'), (5, 2, 'Pain relief'),
    (6, 3, 'Braces'), (7, 3, 'Monitors');

insert into shop.products (sku, category_id, title, price, tags)
select 'SKU-' || lpad(n::text, 5, '0'), 4 + n % 4,
    (array['Vitamin D', 'Ibuprofen', 'Wrist brace', 'Blood pressure monitor'])[1 + n % 4] || ' no. ' || n,
    4.99 + n % 120, array['shelf-' || n % 9, (array['new', 'sale', 'plain'])[1 + n % 3]]
from generate_series(1, 500) as n;

insert into shop.orders (id, region, customer_email, status, shipping, client_ip, placed_at)
select n, (array['us', 'us', 'us', 'eu', 'uk', 'apac'])[1 + n % 6], pg_temp.email(p),
    (array['shipped', 'shipped', 'paid', 'new', 'returned'])[1 + n % 5]::shop.order_status,
    case when n % 8 = 0 then null else json_build_object('to', pg_temp.full_name(p), 'street', pg_temp.street(p),
        'city', pg_temp.cities(pg_temp.h(p, 'city')), 'phone', pg_temp.phone(p), 'gift', n % 2 = 0) end,
    pg_temp.ip(p), pg_temp.at(n, 'placed')
from generate_series(1, 20000) as n, lateral (select 8001 + pg_temp.h(n, 'customer') % 15000) as _ (p);

insert into shop.order_items (order_id, region, line, sku, quantity, price)
select o.id, o.region, line, 'SKU-' || lpad((1 + pg_temp.h(o.id * 4 + line, 'sku') % 500)::text, 5, '0'),
    1 + (o.id + line) % 5, 4.99 + pg_temp.h(o.id + line, 'price') % 120
from shop.orders o, lateral generate_series(1, 1 + o.id % 3) as line;

insert into shop.payments (id, account_email, order_id, region, card_number, card_holder, iban, amount)
select o.id, o.customer_email, o.id, o.region,
    case when o.id % 3 < 2 then pg_temp.card(o.id) end, a.name,
    case when o.id % 3 = 2 then 'DE' || lpad((98 - mod((bban || '131400')::numeric, 97))::text, 2, '0') || bban end,
    5 + o.id % 400
from shop.orders o join shop.accounts a on a.email = o.customer_email,
    lateral (select lpad((100000000000 + pg_temp.h(o.id, 'iban'))::text, 18, '5')) as _ (bban)
where o.id % 4 > 0 order by o.id;

insert into shop.reviews (account_email, sku, stars, body)
select pg_temp.email(n), 'SKU-' || lpad((1 + n % 500)::text, 5, '0'), 1 + n % 5,
    (array['Works fine.', 'Arrived late, but ' || pg_temp.first_name(n + 700000) || ' from support was kind.',
        'Call me at ' || pg_temp.phone(n) || ' about the refund!', 'Très bien, merci.', 'とても良い'])[1 + n % 5]
from generate_series(8001, 12000) as n;

insert into shop.sessions (token, account_email, ip, user_agent, payload, expires_at)
select md5('session' || n)::uuid, case when n % 6 > 0 then pg_temp.email(8001 + n % 15000) end, pg_temp.ip(8001 + n % 15000),
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)',
    jsonb_build_object('cart', n % 5, 'login', jsonb_build_object('email', lower(pg_temp.email(8001 + n % 15000)), 'at', n)),
    timestamptz '2026-02-01 00:00:00+00' + n * interval '1 minute'
from generate_series(1, 5000) as n;

insert into shop.newsletter (email, first_name, source)
select pg_temp.email(n), case when n % 3 > 0 then pg_temp.first_name(n) end, 'checkout'
from generate_series(20001, 26000) as n;

-- Changes after the load: the audit trigger copies whole rows into jsonb.
update shop.accounts set marketing = not marketing where patient_mrn is null and length(email) % 7 = 0;

select setval('clinic.facilities_id_seq', 12), setval('clinic.employees_id_seq', 300),
    setval('clinic.patients_id_seq', 20000), setval('clinic.notes_id_seq', 8000),
    setval('clinic.prescriptions_id_seq', 10000), setval('clinic.claims_id_seq', (select max(id) from clinic.claims)),
    setval('shop.payments_id_seq', (select max(id) from shop.payments));

refresh materialized view shop.best_customers;
analyze;
