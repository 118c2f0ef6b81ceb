-- +goose Up
create table sources (
    source       text primary key,
    base_url     text not null,
    organisation text not null,
    watermark    text
) without rowid;

-- Conversation ids are unique in an organisation. A checkpoint may have sources of several organisations, such as a rehearsal
-- beside the real one, so conversation_id is only unique within a source.
--
-- Conditions on the status are chains of "or", because SQLite builds a table for each list of values in each statement.
create table transcripts (
    source          text not null,
    transcript_id   text not null,
    status          text not null check (status = 'pending' or status = 'sending' or status = 'imported' or status = 'complete' or
        status = 'partial' or status = 'failed' or status = 'in_doubt' or status = 'rejected' or status = 'skipped'),
    conversation_id integer,
    end_user_id     text,
    attempts        integer not null default 0,
    error_code      text,
    error           text,
    content_hash    text,
    closed_at       text,
    run_id          integer,
    imported_at     text,
    created_at      text not null,
    updated_at      text not null,
    send_before     text,                       -- an import request may be sent until then
    claim           integer not null default 0, -- number of claims so far; fences off the writes of earlier ones
    claimed_by      integer,                    -- the run that works on it; its lease is in runs
    file            text,                       -- the configured path of a record that is identified by its place
    unfinished      integer generated always as (status = 'pending' or status = 'sending' or status = 'imported') virtual,
    primary key (source, transcript_id),
    check ((conversation_id is not null) = (status = 'imported' or status = 'complete' or status = 'partial')),
    check (claimed_by is null or unfinished)
) without rowid;

create unique index transcripts_conversation on transcripts (conversation_id, source) where conversation_id is not null;
create index transcripts_unfinished on transcripts (source, transcript_id) where unfinished;
create index transcripts_attention on transcripts (source, transcript_id, status, error_code)
    where status = 'failed' or status = 'in_doubt' or status = 'rejected' or status = 'partial' or status = 'skipped';
create index transcripts_file on transcripts (source, file) where file is not null;

create table partial_errors (
    source              text not null,
    transcript_id       text not null,
    ordinal             integer not null check (ordinal >= 1),
    kind                text not null check (kind in
        ('message', 'attachment', 'assignment', 'attribute', 'adopted', 'duplicate', 'other')),
    message             text not null,
    message_external_id text,
    attribute           text,
    primary key (source, transcript_id, ordinal)
) without rowid;

-- A row without end_user_id reserves the identifier while a run creates its end-user.
create table end_users (
    kind         text not null check (kind in ('external_id', 'email', 'phone')),
    value        text not null,
    end_user_id  text,
    resolved_at  text,
    organisation text not null,
    reserved_by  integer,
    reserved_at  text,
    primary key (kind, value),
    check ((end_user_id is null) = (resolved_at is null))
) without rowid;

create index end_users_end_user on end_users (end_user_id) where end_user_id is not null;

create table runs (
    id           integer primary key autoincrement,
    source       text not null,
    command      text not null,
    started_at   text not null,
    finished_at  text,
    outcome      text,
    read         integer not null default 0,
    imported     integer not null default 0,
    partial      integer not null default 0,
    failed       integer not null default 0,
    rejected     integer not null default 0,
    skipped      integer not null default 0,
    already_done integer not null default 0,
    duplicate    integer not null default 0,
    in_doubt     integer not null default 0,
    pending      integer not null default 0,
    requests     integer not null default 0,
    throttled    integer not null default 0, -- 429 answers
    lease_until  text not null
);

-- The progress of a run, every few seconds.
create table run_samples (
    run_id    integer not null,
    at        text not null,
    imported  integer not null default 0,
    partial   integer not null default 0,
    failed    integer not null default 0,
    rejected  integer not null default 0,
    requests  integer not null default 0,
    throttled integer not null default 0,
    primary key (run_id, at)
) without rowid;

-- The time that a run spent on each step.
create table run_steps (
    run_id   integer not null,
    step     text not null,
    count    integer not null,
    total_ms real not null,
    max_ms   real not null,
    primary key (run_id, step)
) without rowid;

-- The progress of a comparison of a source's transcripts with Dixa.
create table verify_marks (
    source     text primary key,
    after      text not null, -- the last id that was compared
    checked    integer not null,
    differing  integer not null,
    started_at text not null
) without rowid;

-- +goose Down
drop table verify_marks;
drop table run_steps;
drop table run_samples;
drop table runs;
drop table end_users;
drop table partial_errors;
drop table transcripts;
drop table sources;
