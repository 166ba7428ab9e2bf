-- What came after PostgreSQL 15.
create table shop.computed (id int not null, doubled int generated always as (id * 2) virtual, kept int generated always as (id * 3) stored);
insert into shop.computed (id) values (1), (2);
create table shop.named_not_null (id int constraint must_be not null, other int);
insert into shop.named_not_null values (1, null);
alter table shop.named_not_null add constraint later not null other not valid;
create table shop.not_enforced (id int, constraint lax check (id > 5) not enforced, up int, constraint lax_key foreign key (up) references shop.nodes not enforced);
insert into shop.not_enforced values (1, 999);
create table shop.periods (id int4range, at daterange, primary key (id, at without overlaps));
insert into shop.periods values ('[1,2)', '[2024-01-01,2024-02-01)'), ('[1,2)', '[2024-02-01,2024-03-01)');
create table shop.within (id int, up int4range, at daterange, foreign key (up, period at) references shop.periods (id, period at));
insert into shop.within values (1, '[1,2)', '[2024-01-15,2024-02-15)');
