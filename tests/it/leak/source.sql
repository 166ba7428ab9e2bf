-- A source that holds canaries in every place that PostgreSQL has for text. Macros, one place each:
-- T a text token of row g, N a 14-digit number of row g, L the token of a schema literal (kind|object).
create extension citext; create extension hstore; create extension ltree;
create schema "Odd Schema";
create domain note as text;
create domain short_note as varchar(60) default '{L:domain default|public.short_note}' check (value <> '{L:check constraint|short_note.short_note_check}');
create type mood as enum ('calm', '{L:enum label|public.mood}');
create type address as (street text, city text);
create type textrange as range (subtype = text);

create table people (
  id bigint generated always as identity primary key,
  email text unique, full_name varchar(80), code char(24), login citext, c1 text, x varchar, n note, s short_note,
  phone text, ssn bigint, card numeric, mobile text, ip inet, net cidr, mac macaddr, mac8 macaddr8, ip_text text,
  status text, kind text default '{L:column default|public.people.kind}', state varchar(40),
  searchable tsvector generated always as (to_tsvector('simple', coalesce(full_name, ''))) stored,
  shout text generated always as (upper(email)) stored,
  tags text[], grid text[][], addr address, addrs address[], moods mood[],
  constraint no_joke check (full_name <> '{L:check constraint|public.people.no_joke}')
);
insert into people (email, full_name, code, login, c1, x, n, s, phone, ssn, card, mobile, ip, net, mac, mac8, ip_text, status, kind, state, tags, grid, addr, addrs, moods)
select {T:email} || '@corp-mail.net', 'Ada ' || {T:full name}, {T:char(n)}, {T:citext}, {T:meaningless c1}, {T:meaningless x}, {T:domain}, {T:domain of varchar},
  '+' || {N:phone text}, {N:ssn int8}, {N:card numeric}, {N:mobile}::text,
  ('197.53.1.' || g % 250)::inet, ('197.53.2.' || g % 250)::cidr, ('08:9e:7c:a3:01:' || lpad(to_hex(g % 250), 2, '0'))::macaddr, ('08:9e:7c:a3:02:01:02:' || lpad(to_hex(g % 250), 2, '0'))::macaddr8, '197.53.3.' || g % 250,
  case when g < 590 then 'active' else {T:late in a status} end, case when g < 590 then (array['a','b','c'])[1 + g % 3] else {T:late in a kind} end, case when g > 590 then {T:state that is empty in the sample} end,
  array[{T:array}, 'plain'], array[array[{T:2-d array}, 'b'], array['c', {T:2-d array corner}]], row({T:composite}, 'x')::address, array[row({T:array of composites}, 'x')::address], array['calm'::mood]
from generate_series(1, 600) g;
comment on table people is '{L:comment|public.people}';
comment on column people.c1 is '{L:comment|public.people.c1}';
create index partial on people (id) where c1 = '{L:index|public.partial}';
alter table people enable row level security;
create policy mine on people using (c1 <> '{L:policy|public.people.mine}');
create function whisper() returns text language sql stable as $$ select '{L:function|public.whisper}'::text $$;
create function nothing() returns trigger language plpgsql as $$ begin return new; end $$;
create trigger watch before update on people for each row when (new.c1 = '{L:trigger|public.people.watch}') execute function nothing();
create view peek as select id, c1 from people where c1 <> '{L:view|public.peek}';
create materialized view names as select id, full_name, email, c1 from people;
create index on names (full_name);
create statistics people_stats on status, kind from people;

create table documents (id int primary key, body json, meta jsonb not null, raw text, attrs hstore, page xml, blob bytea, big text, vec tsvector, path ltree, jp jsonpath, tq tsquery, span textrange, spans textmultirange, flags bit varying, "Weird ""name" text, metas jsonb[], digest bytea, checksum text, b64 text, u16 text, n name);
alter table documents alter big set storage external;
insert into documents
select g, json_build_object('user', json_build_object('email', {T:json email} || '@corp-mail.net', 'deep', json_build_array(json_build_object('note', {T:json deep})))),
  case when g = 599 then jsonb_build_object('kind', 'rare', 'colour', {T:json rare path}, 'list', jsonb_build_array(1, 2, jsonb_build_object('size', {T:json rare array}, 'count', {N:json rare number})), {T:json key} , true, {T:json key mail} || '@corp-mail.net', 1, 'm', jsonb_build_object('Jane ' || {T:json key name}, 1))
       else jsonb_build_object('kind', (array['click', 'view'])[1 + g % 2], 'colour', 'red', 'n', g) end,
  json_build_object('kind', 'click', 'note', {T:json in text})::text, hstore('k', {T:hstore value}) || hstore({T:hstore key}, 'v'), ('<p>' || {T:xml} || '</p>')::xml,
  convert_to({T:bytea}, 'UTF8'), repeat({T:toasted} || ' some more text. ', 400), to_tsvector('simple', {T:tsvector}), ({T:ltree} || '.a')::ltree, ('$."' || {T:jsonpath} || '"')::jsonpath, ('''' || {T:tsquery} || '''')::tsquery,
  textrange({T:range of text}, {T:range of text} || 'z'), textmultirange(textrange({T:multirange of text}, null)), B'101', {T:quoted column}, array[jsonb_build_object('a', {T:array of jsonb})],
  convert_to({T:bytea named digest}, 'UTF8'), {T:text named checksum}, encode(convert_to({T:base64}, 'UTF8'), 'base64'), regexp_replace({T:utf-16}, '(.)', E'\\1 ', 'g'), {T:type name}
from generate_series(1, 600) g;

create table "Odd Schema"."Odd Table" ("Odd Column" text, "select" text);
insert into "Odd Schema"."Odd Table" select {T:quoted table}, {T:column named select} from generate_series(1, 300) g;

create table events (id int not null, at date not null, who text, payload jsonb) partition by range (at);
create table events_1 partition of events for values from ('2026-01-01') to ('2026-02-01');
create table events_2 (payload jsonb, dropped int, who text, at date not null, id int not null);
alter table events_2 drop column dropped;
alter table events attach partition events_2 for values from ('2026-02-01') to ('2026-03-01');
create table events_rest partition of events default;
insert into events select g, '2026-01-05'::date + (g % 80), {T:partition text}, jsonb_build_object('who', {T:partition json}) from generate_series(1, 600) g;
create table regions (who text, region text) partition by list (region);
create table regions_a partition of regions for values in ('{L:partition bound|public.regions_a}');
create table regions_rest partition of regions default;
insert into regions select {T:list partition}, 'x' || g from generate_series(1, 300) g;

create table base (id int, who text);
create table child (extra text) inherits (base);
insert into base select g, {T:inheritance parent} from generate_series(1, 300) g;
insert into child select g, {T:inheritance child}, {T:inheritance child extra} from generate_series(1, 300) g;

create table audit (id bigserial primary key, table_name text, old_row jsonb, new_row text);
insert into audit (table_name, old_row, new_row) select 'people', jsonb_build_object('email', {T:audit jsonb} || '@corp-mail.net', 'extra', jsonb_build_object('k', {T:audit deep})), jsonb_build_object('a', {T:audit text})::text from generate_series(1, 300) g;
create unlogged table scratch (line text, late text);
insert into scratch select 'Call ' || {T:free text} || '@corp-mail.net or +' || {N:free text phone} || ' about it', case when g = 299 then {T:late filled} end from generate_series(1, 300) g;
create table late (id int, status text, type varchar(60), country_code text, colour text, amount bigint, batch_no bigint);
insert into late select g, case when g > 500 then {T:late status} end, case when g > 500 then {T:late type} end, case when g > 500 then {T:late country code} else 'DE' end,
  case when g > 500 then {T:late colour} || '@corp-mail.net' else (array['red', 'green'])[1 + g % 2] end, g, g from generate_series(1, 600) g;
create table tiny (id int, label text);
insert into tiny select g, {T:tiny table} from generate_series(1, 3) g;
select lo_from_bytea(0, convert_to({T:large object}, 'UTF8')) from generate_series(1, 20) g;
