-- The journal of clones, in the target. Idempotent. Locks: none on user tables. PostgreSQL 14+.
create schema if not exists backlot;
comment on schema backlot is 'state of backlot: how this database was made; safe to drop when no clone or stream is under way';
create table if not exists backlot.clone_run (
    run_id bigint generated always as identity primary key,
    source text not null,
    source_system_identifier text not null,
    snapshot_name text not null,
    snapshot_xids text not null,
    key_id text not null,
    algorithm_version integer not null,
    dictionary_hash text not null,
    config_hash text not null,
    plan_hash text not null,
    config text not null,
    extensions_before text[] not null,
    -- With --follow: the slot that the snapshot is of, and what else the stream's record will say.
    slot_name text,
    consistent_lsn pg_lsn,
    publications text[],
    owns_publications boolean,
    timeline integer,
    phase text not null,
    started_at timestamptz not null default pg_catalog.now(),
    finished_at timestamptz
);
create table if not exists backlot.clone_range (
    run_id bigint not null references backlot.clone_run on delete cascade,
    range_id bigint not null,
    relation text not null,
    first_block bigint not null,
    last_block bigint,
    done boolean not null default false,
    row_count bigint not null default 0,
    byte_count bigint not null default 0,
    changed bigint[] not null default '{}',
    -- The table was truncated or rewritten on the source before its copy was complete.
    overtaken boolean not null default false,
    primary key (run_id, range_id)
);
alter table backlot.clone_range add column if not exists overtaken boolean not null default false;
