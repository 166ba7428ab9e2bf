-- The state schema, compatible with pgroll 0.16: names, columns and meanings are pgroll's, so that either
-- program opens what the other made. Everything here may run again.
-- Servers: 14 to 18. @state@ is the quoted name of the state schema.
create schema if not exists @state@;

create table if not exists @state@.migrations (
    schema name not null,
    name text not null,
    migration jsonb not null,
    created_at timestamptz not null default current_timestamp,
    updated_at timestamptz not null default current_timestamp,
    parent text,
    done boolean not null default false,
    resulting_schema jsonb not null default '{}'::jsonb,
    migration_type varchar(32) default 'pgroll'
        constraint migration_type_check check (migration_type in ('pgroll', 'inferred', 'baseline')),
    primary key (schema, name),
    foreign key (schema, parent) references @state@.migrations (schema, name)
);

create unique index if not exists only_one_active on @state@.migrations (schema, name, done) where not done;
create unique index if not exists only_first_migration_without_parent on @state@.migrations (schema) where parent is null;
-- This one keeps two programs from starting a migration at the same time.
create unique index if not exists history_is_linear on @state@.migrations (schema, parent);

create table if not exists @state@.pgroll_version (
    version text primary key,
    initialized_at timestamptz not null default current_timestamp
);
-- pgroll compares versions only where both are numbers: any pgroll opens this one and changes nothing.
insert into @state@.pgroll_version (version)
select 'development' where not exists (select from @state@.pgroll_version);
