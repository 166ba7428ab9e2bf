-- The state of a stream, in the target. Idempotent. Locks: none on user tables. PostgreSQL 14+.
create schema if not exists backlot;
-- One row: where the changes come from, and the rules that they are masked by.
create table if not exists backlot.stream (
    slot_name text primary key,
    source text not null,
    source_system_identifier text not null,
    source_database text not null,
    timeline integer not null,
    publications text[] not null,
    -- True for publications that backlot made and `clone stop` drops.
    owns_publications boolean not null,
    -- The slot's consistent point: the snapshot holds exactly the transactions that committed below it.
    consistent_lsn pg_lsn not null,
    key_id text not null,
    algorithm_version integer not null,
    dictionary_hash text not null,
    -- The effective transforms.yaml.
    config text not null,
    started_at timestamptz not null default pg_catalog.now()
);
-- One row a stream, updated in the transaction of the rows that it speaks of.
create table if not exists backlot.checkpoint (
    slot_name text primary key references backlot.stream on delete cascade,
    -- Everything that committed on the source before it is here.
    end_lsn pg_lsn not null,
    -- Of the last source transaction that was applied.
    commit_time timestamptz,
    transaction_count bigint not null default 0,
    change_count bigint not null default 0,
    byte_count bigint not null default 0,
    updated_at timestamptz not null default pg_catalog.clock_timestamp()
) with (fillfactor = 20);
-- Tables that are not simply followed, and what the others are masked by.
create table if not exists backlot.stream_table (
    relation text primary key,
    -- streaming: followed. insert_only: no replica identity, only INSERT and TRUNCATE are followed.
    -- stale: not followed until it is re-synced. resyncing: being copied again.
    state text not null check (state in ('streaming', 'insert_only', 'stale', 'resyncing')),
    reason text,
    -- Hash of the table's rules.
    rules_hash text not null,
    changed_at timestamptz not null default pg_catalog.now()
);
-- The columns of the source that the target's tables have, by attribute number: partitions go with their root.
create table if not exists backlot.stream_column (
    schema_name text not null,
    table_name text not null,
    number smallint not null,
    name text not null,
    type_name text not null,
    -- The name that the configuration decides it by; null: it came later.
    origin text,
    primary key (schema_name, table_name, number)
);
-- Which table of the source each followed one is, and each root of partitions: another may take its name.
create table if not exists backlot.stream_source (
    relation text primary key,
    oid oid not null
);
-- Source transactions that could not be applied, whole.
create table if not exists backlot.quarantine (
    quarantine_id bigint generated always as identity primary key,
    xid bigint not null,
    commit_lsn pg_lsn not null unique,
    end_lsn pg_lsn not null,
    commit_time timestamptz not null,
    -- The relation whose change failed, and why: never a value.
    relation text,
    sqlstate text,
    reason text not null,
    change_count bigint not null,
    quarantined_at timestamptz not null default pg_catalog.now()
);
-- Their masked changes, in order, as the stream's own encoding.
create table if not exists backlot.quarantine_part (
    quarantine_id bigint not null references backlot.quarantine on delete cascade,
    part integer not null,
    changes bytea not null,
    primary key (quarantine_id, part)
);
-- What other commands ask of the running stream, and its answers.
create table if not exists backlot.request (
    request_id bigint generated always as identity primary key,
    kind text not null check (kind in ('mark', 'resync', 'retry', 'stop')),
    arguments jsonb not null default '{}',
    state text not null default 'asked' check (state in ('asked', 'taken', 'answered', 'failed', 'done')),
    answer jsonb not null default '{}',
    asked_at timestamptz not null default pg_catalog.now()
);
