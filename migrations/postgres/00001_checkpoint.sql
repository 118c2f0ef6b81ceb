-- +goose Up
-- The schema itself exists already, because goose keeps its versions in it.
create table dixa_import.sources (
    source       text collate "C" primary key,
    base_url     text not null,
    organisation text not null,
    watermark    timestamptz
);

-- Conversation ids are unique in an organisation. A checkpoint may have sources of several organisations, such as a rehearsal
-- beside the real one, so conversation_id is only unique within a source.
--
-- A transcript is updated three or four times within seconds and then never again. The fillfactor leaves room on each page for
-- HOT updates, which change no index (pending to sending, the renewal of send_before). Postgres counts the columns in an index's
-- predicate as indexed, so the indexes of unfinished and of correctable transcripts use generated columns, which change once, at
-- the end, instead of status and error_code.
create table dixa_import.transcripts (
    source          text collate "C" not null,
    transcript_id   text collate "C" not null,
    status          text not null check (status in
        ('pending', 'sending', 'imported', 'complete', 'partial', 'failed', 'in_doubt', 'rejected', 'skipped')),
    conversation_id bigint,
    end_user_id     text,
    attempts        integer not null default 0,
    error_code      text,
    error           text,
    content_hash    text,
    closed_at       timestamptz,
    run_id          bigint,
    imported_at     timestamptz,
    created_at      timestamptz not null default now(),
    updated_at      timestamptz not null default now(),
    send_before     timestamptz,               -- an import request may be sent until then
    claim           bigint not null default 0, -- number of claims so far; fences off the writes of earlier ones
    claimed_by      bigint,                    -- the run that works on it; its lease is in runs
    file            text,                      -- the configured path of a record that is identified by its place
    unfinished      boolean not null generated always as (status in ('pending', 'sending', 'imported')) stored,
    attention       text collate "C" generated always as -- status and code of what a person or a later run may correct
        (case when status in ('failed', 'in_doubt', 'rejected', 'partial', 'skipped') then status end) stored,
    attention_code  text collate "C" generated always as
        (case when status in ('failed', 'in_doubt', 'rejected', 'partial', 'skipped') then error_code end) stored,
    primary key (source, transcript_id),
    check ((conversation_id is not null) = (status in ('imported', 'complete', 'partial'))),
    check (claimed_by is null or status in ('pending', 'sending', 'imported'))
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02);

create unique index transcripts_conversation on dixa_import.transcripts (conversation_id, source)
    where conversation_id is not null;
create index transcripts_unfinished on dixa_import.transcripts (source, transcript_id) where unfinished;
create index transcripts_attention on dixa_import.transcripts (source, transcript_id, attention, attention_code)
    where attention is not null;
create index transcripts_file on dixa_import.transcripts (source, file) where file is not null;

create table dixa_import.partial_errors (
    source              text collate "C" not null,
    transcript_id       text collate "C" not null,
    ordinal             integer not null check (ordinal >= 1),
    kind                text not null check (kind in
        ('message', 'attachment', 'assignment', 'attribute', 'adopted', 'duplicate', 'other')),
    message             text not null,
    message_external_id text,
    attribute           text,
    primary key (source, transcript_id, ordinal)
);

-- A row without end_user_id reserves the identifier while a run creates its end-user.
create table dixa_import.end_users (
    kind         text collate "C" not null check (kind in ('external_id', 'email', 'phone')),
    value        text collate "C" not null,
    end_user_id  text,
    resolved_at  timestamptz,
    organisation text not null,
    reserved_by  bigint,
    reserved_at  timestamptz,
    primary key (kind, value),
    check ((end_user_id is null) = (resolved_at is null))
);

create index end_users_end_user on dixa_import.end_users (end_user_id) where end_user_id is not null;

create table dixa_import.runs (
    id           bigint generated always as identity primary key,
    source       text collate "C" not null,
    command      text not null,
    started_at   timestamptz not null default now(),
    finished_at  timestamptz,
    outcome      text,
    read         bigint not null default 0,
    imported     bigint not null default 0,
    partial      bigint not null default 0,
    failed       bigint not null default 0,
    rejected     bigint not null default 0,
    skipped      bigint not null default 0,
    already_done bigint not null default 0,
    duplicate    bigint not null default 0,
    in_doubt     bigint not null default 0,
    pending      bigint not null default 0,
    requests     bigint not null default 0,
    throttled    bigint not null default 0, -- 429 answers
    lease_until  timestamptz not null
) with (fillfactor = 50);

-- The progress of a run, every few seconds.
create table dixa_import.run_samples (
    run_id    bigint not null,
    at        timestamptz not null,
    imported  bigint not null default 0,
    partial   bigint not null default 0,
    failed    bigint not null default 0,
    rejected  bigint not null default 0,
    requests  bigint not null default 0,
    throttled bigint not null default 0,
    primary key (run_id, at)
);

-- The time that a run spent on each step.
create table dixa_import.run_steps (
    run_id   bigint not null,
    step     text collate "C" not null,
    count    bigint not null,
    total_ms double precision not null,
    max_ms   double precision not null,
    primary key (run_id, step)
) with (fillfactor = 50);

-- The progress of a comparison of a source's transcripts with Dixa.
create table dixa_import.verify_marks (
    source     text collate "C" primary key,
    after      text collate "C" not null, -- the last id that was compared
    checked    bigint not null,
    differing  bigint not null,
    started_at timestamptz not null default clock_timestamp()
);

-- The rate slots that processes with the same token have taken. The table is unlogged, so that taking a slot does not wait for the
-- disk. A crash of the server loses the slots of a moment.
create unlogged table dixa_import.rate_budgets (
    token   text collate "C" primary key, -- a hash of the token
    next_at timestamptz not null          -- time of the next free slot
);

-- +goose Down
drop table dixa_import.rate_budgets, dixa_import.verify_marks, dixa_import.run_steps, dixa_import.run_samples, dixa_import.runs, dixa_import.end_users,
    dixa_import.partial_errors, dixa_import.transcripts, dixa_import.sources;
