-- A table of every family of built-in types, with the values that copies get wrong. Every row states one; columns
-- that it does not name are NULL. Runs on PostgreSQL 15 and newer.
create schema kinds;

create table kinds.numbers (
    id int primary key, i2 int2, i4 int4, i8 int8, n numeric, n_scaled numeric(40, 20), n_rounded numeric(5, -2),
    n_small numeric(3, 5), f4 float4, f8 float8, m money, b boolean
);
insert into kinds.numbers (id, i2, i4, i8) values
    (1, -32768, -2147483648, -9223372036854775808), (2, 32767, 2147483647, 9223372036854775807), (3, 0, 0, 0);
insert into kinds.numbers (id, n, n_scaled, n_rounded, n_small) values
    (10, 'NaN', 'NaN', 'NaN', 'NaN'), (11, 'Infinity', null, null, null), (12, '-Infinity', null, null, null),
    (13, 1234567890123456789012345678901234567890, 12345678901234567890.12345678901234567890, 12345, 0.00123),
    (14, 0.0000, -0.00000000000000000001, -99900, 0.00001), (15, 1e-200, null, null, null), (16, 1e4000, null, null, null),
    (17, 10.00, 0, 0, 0), (18, 1.10, 10000, 10000, -0.00999), (19, 0, null, null, null), (20, 100000000, null, null, null);
insert into kinds.numbers (id, f4, f8) values
    (30, '-0', '-0'), (31, 'NaN', 'NaN'), (32, 'Infinity', '-Infinity'), (33, 1.17549435e-38, 2.2250738585072014e-308),
    (34, 3.4028235e38, 1.7976931348623157e308), (35, 0.1, 0.1), (36, 1e-45, 5e-324), (37, 16777217, 9007199254740993);
insert into kinds.numbers (id, m, b) values
    (40, '-92233720368547758.08', true), (41, '92233720368547758.07', false), (42, '0.05', null), (43, '1234567.89', null);

create table kinds.times (
    id int primary key, d date, t time, t0 time(0), tz timetz, ts timestamp, ts3 timestamp(3), tstz timestamptz,
    i interval, i_ym interval year to month, i_s interval day to second (2)
);
insert into kinds.times (id, d, ts, tstz) values
    (1, 'infinity', 'infinity', 'infinity'), (2, '-infinity', '-infinity', '-infinity'),
    (3, '0044-03-15 BC', '0044-03-15 12:34:56.789 BC', '0044-03-15 12:34:56+00 BC'),
    (4, '4713-01-01 BC', '4713-01-01 00:00:00 BC', '4713-01-02 00:00:00+00 BC'),
    (5, '5874897-12-31', '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999+00'),
    (6, '0001-01-01', '0001-01-01', '0001-01-01 00:00:00+00'), (7, '2000-02-29', '1969-12-31 23:59:59.999999', '2024-03-31 01:30:00+00'),
    (8, '1582-10-10', '10000-01-01', '1883-11-18 12:03:58-05'), (9, '0001-12-31 BC', null, null);
insert into kinds.times (id, t, t0, tz, ts3) values
    (20, '24:00:00', '23:59:59', '24:00:00+15:59:59', '2024-01-01 00:00:00.1239'), (21, '00:00:00', '12:00:00.4', '00:00:00-15:59:59', null),
    (22, '23:59:59.999999', '00:00', '12:34:56.123456+05:30', null), (23, null, null, '01:02:03-00:00:01', null);
insert into kinds.times (id, i, i_ym, i_s) values
    (30, '1 year -2 months +3 days -04:05:06.789', '178000000 years', '3 days 04:05:06.789'), (31, '0', '-1 month', '-1 second'),
    (32, '178956970 years 7 months 2147483647 days 2562047788:00:54.775806', null, null), (33, '-1 days +24:00:00', null, null),
    (34, '36500 days', null, null);

create table kinds.texts (
    id int primary key, t text, v varchar, v5 varchar(5), c char, c8 char(8), n name, q "char", k text collate "C"
);
insert into kinds.texts (id, t, v, v5, c, c8, n, q, k) values
    (1, '', '', '', '', '', '', '', ''), (2, ' ', ' ', '     ', ' ', 'ab', 'a', ' ', ' '), (3, '\N', '\N', '\N', '\', '\N', '\N', '\', '\N'),
    (4, '\.', '\.', '\.', '.', '\.', '\.', '.', '\.'), (5, 'NULL', 'null', 'NULL', 'N', 'NULL', 'NULL', 'N', null);
insert into kinds.texts (id, t) values
    (10, E'tab\there'), (11, E'line\nfeed'), (12, E'carriage\rreturn'), (13, E'both\r\nof them'), (14, E'back\\slash \\t \\n \\x41'),
    (15, E'\b\f\v\x01\x1f\x7f'), (16, E'\\.\n\\.\n'), (17, E'\n'), (18, E'\\'), (19, E'\t'), (20, '"quoted" ''single'' $dollar$'),
    (21, '用户 Größe naïve Ωμέγα'), (22, '👩‍👩‍👧 e' || U&'\0301' || ' ' || U&'\200B' || U&'\FEFF'), (23, U&'\+10FFFF'), (24, repeat('x', 100000)),
    (25, repeat(md5('toast'), 500) || repeat('é', 3000)), (26, '{a,b}'), (27, '(a,b)'), (28, 'a,b;c|d'), (29, U&'\2028\2029\0085');
insert into kinds.texts (id, q) values (40, 'a'), (41, '\377'), (42, '\200');
insert into kinds.texts (id, c8, v5) values (50, 'é', 'ééééé'), (51, '  lead', E'a\tb\nc');

create table kinds.bits (id int primary key, b bit, b5 bit(5), v varbit, v9 varbit(9), y bytea);
insert into kinds.bits values
    (1, b'1', b'10101', b'', b'', ''), (2, b'0', b'00000', b'1', b'111111111', '\x00'), (3, null, null, x'1234567890abcdef', null, '\x005c6e0a0d09ff'),
    (4, null, null, repeat('10', 3000)::varbit, null, decode(repeat('00ff5c', 30000), 'hex')), (5, null, null, null, null, 'abc\\000');

create table kinds.ranges (
    id int primary key, i4 int4range, i8 int8range, n numrange, ts tsrange, tz tstzrange, d daterange,
    mi int4multirange, mn nummultirange, md datemultirange, mt tstzmultirange, ai int4range[], am int4multirange[]
);
insert into kinds.ranges values
    (1, 'empty', 'empty', 'empty', 'empty', 'empty', 'empty', '{}', '{}', '{}', '{}', '{}', '{}'),
    (2, '(,)', '[1,]', '(,1.50]', '[-infinity,infinity]', '(,"2024-01-01 00:00:00+00")', '[2024-01-01,)', '{(,)}', '{(,1.0),[2.00,3.000]}',
        '{[2024-01-01,2024-02-01),[infinity,)}', '{[-infinity,infinity)}', '{empty,"[1,5)",NULL}', '{"{[1,2),[4,5)}",NULL,"{}"}'),
    (3, '[1,1]', '[-9223372036854775808,9223372036854775807)', '(0.10,1e40)', '["0044-03-15 00:00:00 BC","2000-01-01 00:00:00.5")', null,
        '(-infinity,4713-01-01 BC]', '{[1,2],[3,4],[10,20)}', null, null, null, null, null)
    on conflict do nothing;

create type kinds.mood as enum ('sad', 'ok', 'Very "happy"', 'it''s', 'a,b (c)', 'späť');
alter type kinds.mood add value 'meh' before 'ok';
commit;
create type kinds.inner_pair as (a int, b text);
create type kinds.pair as (x kinds.inner_pair, y kinds.mood, z numeric[], w kinds.inner_pair[]);
alter type kinds.pair add attribute gone text;
alter type kinds.pair drop attribute gone;
alter type kinds.pair add attribute late date;
create type kinds.span as range (subtype = numeric, multirange_type_name = kinds.spans);
create type kinds.text_span as range (subtype = text, collation = "C");
create domain kinds.positive as int check (value > 0);
create domain kinds.small as kinds.positive constraint below_100 check (value < 100) default 7;
create domain kinds.words as text[] not null default '{}' check (cardinality(value) < 10);
create domain kinds.pair_domain as kinds.inner_pair check ((value).a is null or (value).a <> 13);
create domain kinds.code as varchar(5) collate "C" constraint upper_only check (value = upper(value));
comment on type kinds.mood is 'a comment on an enum';
comment on type kinds.pair is 'a comment on a composite';
comment on column kinds.pair.y is 'a comment on an attribute';
comment on domain kinds.small is 'a comment on a domain';
comment on constraint below_100 on domain kinds.small is 'a comment on a domain''s constraint';

create table kinds.made (
    id int primary key, e kinds.mood, ea kinds.mood[], p kinds.pair, pa kinds.pair[], ip kinds.inner_pair, d kinds.small, da kinds.small[],
    w kinds.words, pd kinds.pair_domain, pda kinds.pair_domain[], c kinds.code, s kinds.span, ss kinds.spans, ts kinds.text_span, sa kinds.span[],
    row_of kinds.numbers
);
insert into kinds.made (id, e, ea, p, pa, ip, d, da, w, pd, pda, c, s, ss, ts, sa, row_of) values
    (1, 'Very "happy"', '{sad,NULL,"it''s","a,b (c)"}', row(row(1, E'a\tb"c\\d'), 'meh', '{1.00,NULL,NaN}', '{"(1,x)",NULL,"(,)"}', '0044-03-15 BC'),
     array[row(row(null, ''), null, '{}', null, 'infinity')::kinds.pair, null], row(null, null), 1, '{1,99,NULL}', '{a,NULL,""}', row(1, 'b'),
     array[row(2, 'NULL')::kinds.pair_domain, null], 'ABC', '[1.0,2.00)', '{[1,2),(3.50,)}', '["a b","c,""d")', '{empty,"(,)"}',
     (select whole from kinds.numbers whole where id = 13)),
    (2, 'späť', '{}', null, '{}', row(5, ''), null, '{}', '{}', null, null, '', 'empty', '{}', 'empty', null, null),
    (3, 'meh', null, row(null, null, null, null, null), null, null, 99, '[5:6]={1,2}', '[0:1]={x,"y z"}', row(null, null), null, null, '(,)', null, '(,)', null,
     row(null, null, null, null, null, null, null, null, null, null, null, null));

create table kinds.arrays (
    id int primary key, i int[], t text[], t2 varchar(3)[], n numeric[], d timestamptz[], b bytea[], bo boolean[], u uuid[], j jsonb[], js json[], c char(4)[], f float8[], v bit(3)[], box box[]
);
insert into kinds.arrays values
    (1, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}'),
    (2, '{{1,2},{3,NULL}}', '{"",NULL,"NULL","null","a,b","{}","\"","\\\\","  x ","\t"}', '{abc,"",NULL}', '{NaN,1.00,NULL}', '{infinity,NULL,"0044-03-15 00:00:00+00 BC"}',
     '{"\\x","\\x00ff",NULL}', '{t,f,NULL}', '{00000000-0000-0000-0000-000000000000,NULL}', '{"null","{\"a\": 1}",NULL}', array['{"a":1, "a":2}'::json, null, 'null'::json],
     '{"a",NULL,"  "}', '{-0,NaN,Infinity}', '{101,NULL}', '{(1,1),(0,0);(3,3),(2,2)}'),
    (3, '[-2:0]={1,2,3}', '[0:1][5:6]={{a,b},{c,d}}', null, '{{{{{{1}}}}}}', null, null, null, null, null, null, null, null, null, null),
    (4, '{NULL,NULL}', array[E'new\nline', E'tab\t', E'\\N', '👩‍👧'], null, null, null, null, null, null, null, null, null, null, null, null);

create table kinds.documents (id int primary key, j json, b jsonb, p jsonpath);
insert into kinds.documents values
    (1, '{"b":1,"a" : [ 1,2 ,  3],"b":2}', '{"b":1,"a" : [ 1,2 ,  3],"b":2}', '$.a[*] ? (@ > 3)'), (2, 'null', 'null', 'strict $'), (3, null, null, null),
    (4, E' {\n\t"x" : 1.50 , "y":1e400 }\n', '{"x": 1.50, "y": 1e400, "z": 0.000}', '$."odd \"key\"".type()'), (5, '""', '""', '$.a like_regex "^x" flag "i"'),
    (6, '"\u0041\ud83d\ude00 \\ \/ \t"', '"\u0041\ud83d\ude00 \\ \/ \t"', null), (7, '[]', '{}', null), (8, '12345678901234567890.1234567890', '-0', null),
    (9, '{"":{"":[[],{}]}}', '{"":{"":[[],{}]}}', null), (10, 'true', 'false', null);

create table kinds.search (id int primary key, v tsvector, q tsquery, va tsvector[]);
insert into kinds.search values
    (1, '', '', '{}'), (2, 'a:1A,2B,16383 ''it''''s'':3 ''\\'' b ''two words'':5C', '''a'':*A & !(''b c'' <-> d | e <3> ''it''''s'')', '{"a:1","",NULL}'),
    (3, to_tsvector('simple', 'The quick brown fox'), to_tsquery('simple', 'quick <-> fox:ab*'), null);

create table kinds.networks (id int primary key, i inet, c cidr, m macaddr, m8 macaddr8, u uuid);
insert into kinds.networks values
    (1, '0.0.0.0', '0.0.0.0/0', '00:00:00:00:00:00', '00:00:00:00:00:00:00:00', '00000000-0000-0000-0000-000000000000'),
    (2, '192.168.1.5/24', '192.168.0.0/16', 'ff:ff:ff:ff:ff:ff', '08:00:2b:01:02:03:04:05', 'ffffffff-ffff-ffff-ffff-ffffffffffff'),
    (3, '::ffff:1.2.3.4/128', '2001:db8::/32', '08:00:2b:01:02:03', '08:00:2b:ff:fe:01:02:03', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'),
    (4, 'fe80::1/64', '::/0', null, null, null), (5, '255.255.255.255/32', '10.1.2.3/32', null, null, null);

create table kinds.shapes (id int primary key, pt point, l line, ls lseg, b box, p path, g polygon, c circle);
insert into kinds.shapes values
    (1, '(0,-0)', '{1,-1,0}', '[(0,0),(1,1)]', '((1,1),(0,0))', '[(0,0),(1,1),(2,0)]', '((0,0),(1,1),(2,0))', '<(0,0),1>'),
    (2, '(NaN,Infinity)', '{0,1,-2.5}', '[(0.1,1e-300),(1e300,-0)]', '(3,4),(1,2)', '((0,0),(1,1))', '((0.1,0.2))', '<(1.5,-2.5),0>');

-- System types that are portable. Those that hold oids of objects travel by name.
create table kinds.system (
    id int primary key, l pg_lsn, x8 xid8, s pg_snapshot, ts txid_snapshot, x xid, c cid, t tid, o oid, ov oidvector, iv int2vector, rc refcursor, acl aclitem, acls aclitem[]
);
insert into kinds.system values
    (1, '0/0', '0', '10:20:10,14,15', '10:20:', '0', '0', '(0,0)', 0, '', '', '', '=r/postgres', '{=r/postgres,"postgres=arwd*/postgres"}'),
    (2, 'FFFFFFFF/FFFFFFFF', '18446744073709551615', '1:1:', '1:1:', '4294967295', '4294967295', '(4294967295,65535)', 4294967295, '1 2 3', '-1 0 1', 'my cursor', null, null);
create table kinds.objects (
    id int primary key, c regclass, p regproc, pp regprocedure, o regoper, oo regoperator, t regtype, n regnamespace, r regrole, cf regconfig, d regdictionary, co regcollation,
    ca regclass[], ty regtype[]
);
insert into kinds.objects values
    (1, 'kinds.numbers', 'pg_catalog.now', 'pg_catalog.abs(integer)', 'pg_catalog.||/', 'pg_catalog.+(integer,integer)', 'kinds.mood', 'kinds', 'postgres', 'simple', 'simple', '"C"',
     '{kinds.numbers,NULL,pg_class}', '{kinds.pair,"kinds.mood[]",integer,"character varying"}'),
    (2, null, '-', null, null, null, 'kinds.span', null, null, null, null, null, null, null),
    (3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '{0}', '{0}'), (4, 'kinds.objects', null, null, null, null, 'kinds.objects', null, null, null, null, null, null, null);
create domain kinds.relation as regclass;
create type kinds.reference as (what regtype, remark text);
create table kinds.references_made (id int primary key, d kinds.relation, c kinds.reference, ca kinds.reference[]);
insert into kinds.references_made values (1, 'kinds.made', row('kinds.pair', 'x'), array[row('kinds.words', null)::kinds.reference]);
