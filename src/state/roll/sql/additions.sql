-- What backlot keeps beside pgroll's tables: they go with their row in migrations, whoever deletes it.
-- Servers: 14 to 18. @state@ is the quoted name of the state schema.

-- The plan that start made, which complete and rollback run.
create table if not exists @state@.backlot_run (
    schema name not null,
    name text not null,
    phase text not null,
    plan jsonb not null,
    started_at timestamptz not null default pg_catalog.clock_timestamp(),
    primary key (schema, name),
    foreign key (schema, name) references @state@.migrations (schema, name) on delete cascade on update cascade
);

-- One row a step: written in the transaction of the step, or before and after one that runs outside.
create table if not exists @state@.backlot_step (
    schema name not null,
    name text not null,
    step text not null,
    is_done boolean not null,
    is_reversible boolean not null,
    started_at timestamptz not null default pg_catalog.clock_timestamp(),
    finished_at timestamptz,
    primary key (schema, name, step),
    foreign key (schema, name) references @state@.backlot_run (schema, name) on delete cascade on update cascade
);

-- How far the backfill of a table (or of one leaf of it) has come; the position moves with the rows.
create table if not exists @state@.backlot_backfill (
    schema name not null,
    name text not null,
    backfill text not null,
    relation text not null,
    -- Key of the last row done, or the first page that is not.
    position text[],
    row_count bigint not null default 0,
    row_estimate bigint not null default 0,
    is_done boolean not null default false,
    started_at timestamptz not null default pg_catalog.clock_timestamp(),
    updated_at timestamptz not null default pg_catalog.clock_timestamp(),
    primary key (schema, name, backfill, relation),
    foreign key (schema, name) references @state@.backlot_run (schema, name) on delete cascade on update cascade
);

-- How the last migration that ended did so: who repeats a verb without having seen its end is told.
create table if not exists @state@.backlot_outcome (
    schema name primary key,
    name text not null,
    outcome text not null,
    ended_at timestamptz not null default pg_catalog.clock_timestamp()
);

-- DDL of others that could not be put into the history at once, because others were at it.
create table if not exists @state@.backlot_captured (
    id bigint generated always as identity primary key,
    schema name not null,
    statement text not null,
    captured_at timestamptz not null default pg_catalog.clock_timestamp()
);
