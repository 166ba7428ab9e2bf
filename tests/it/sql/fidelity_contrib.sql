-- Types and operator classes of extensions that are part of PostgreSQL's own distribution.
create schema extras;
create extension hstore schema extras;
create extension citext schema extras;
create extension ltree schema extras;
create extension cube schema extras;
create extension isn schema extras;
create extension seg schema extras;
create extension intarray schema extras;
create extension lo schema extras;
create extension btree_gist schema extras;
create extension pg_trgm schema extras;
comment on extension hstore is 'a comment on an extension';
create table kinds.contributed (
    id int primary key, h extras.hstore, ha extras.hstore[], c extras.citext, ca extras.citext[], l extras.ltree, la extras.ltree[], lq extras.lquery, lt extras.ltxtquery,
    cu extras.cube, i extras.isbn13, s extras.seg, q extras.query_int
);
insert into kinds.contributed values
    (1, '"a"=>"1", "b c"=>NULL, "\"q\""=>"\\", "e"=>""', '{"\"x\"=>\"y\"",NULL,""}', 'MiXed Case', '{A,a,NULL,""}', 'Top.Science.x_1', '{a.b,NULL,""}', '*.a@*{1,3}.!b|c.*', 'Europe & !Asia*@',
     '(1,2),(3,4)', '978-0-393-04002-9', '1.5 .. 2.50', '1&(2|!3)'),
    (2, '', '{}', '', '{}', '', '{}', null, null, '(0)', null, '<5', null), (3, E'"t\\\\b"=>"l\nf"', null, E'tab\t', null, null, null, null, null, null, null, '~1.0', null);
create index contributed_gist on kinds.contributed using gist (l, c extras.gist_text_ops);
create index contributed_trigram on kinds.contributed using gin ((c::text) extras.gin_trgm_ops);
create unique index contributed_folded on kinds.contributed (c);
create table kinds.bookings (
    room int, during tstzrange, constraint no_overlap exclude using gist (room with =, during with &&) where (room > 0) deferrable initially deferred
);
insert into kinds.bookings values (1, '[2024-01-01,2024-01-02)'), (1, '[2024-01-02,2024-01-03)'), (-1, '[2024-01-01,2024-01-05)'), (-1, '[2024-01-01,2024-01-05)');
