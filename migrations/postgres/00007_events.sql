-- +goose Up
-- What Dixa reported about conversations that were imported. An event without a transcript waits for its import to be recorded; it is deleted
-- if that does not happen.
create table dixa_import.events (
    event_id         text collate "C" primary key,
    base_url         text not null, -- of the organisation, as in sources
    organisation     text not null,
    source           text collate "C",
    transcript_id    text collate "C",
    conversation_id  bigint not null,
    csid             bigint,        -- the other number of the conversation, if the event gave two
    type             text not null, -- message_added, conversation_closed, conversation_assigned, typing_started or other
    event_fqn        text not null, -- the type as Dixa calls it
    at               timestamptz not null,
    received_at      timestamptz not null,
    author_id        text,
    author_type      text,
    author_name      text,          -- removed with the text
    text             text,          -- removed once the event was forwarded
    message_id       text,
    effect           text check (effect in ('assigned', 'closed')), -- what the transcript has yet to learn from it
    agent_id         text,          -- the agent who closed the conversation, or to whom it was assigned
    state            text not null check (state in ('waiting', 'forwarded', 'dead', 'kept')), -- kept: it is not to be forwarded
    attempts         integer not null default 0,
    first_attempt_at timestamptz,
    next_attempt_at  timestamptz,   -- while it is being forwarded: when another process may forward it
    forwarded_at     timestamptz,
    claim            bigint not null default 0, -- number of claims so far; fences off earlier ones
    claimed_by       text,
    last_status      integer,       -- of the last attempt's answer
    last_error       text,
    check ((source is null) = (transcript_id is null)),
    check ((state = 'waiting') = (next_attempt_at is not null))
) with (fillfactor = 80);

create index events_due on dixa_import.events (source, next_attempt_at) where state = 'waiting';
create index events_order on dixa_import.events (source, transcript_id, at, received_at, event_id) where state = 'waiting';
create index events_unattached on dixa_import.events (received_at) where transcript_id is null;
create index events_effect on dixa_import.events (source, transcript_id) where effect is not null;
create index events_personal on dixa_import.events (received_at) where text is not null or author_name is not null;
create index events_dead on dixa_import.events (received_at) where state = 'dead';
create index events_transcript on dixa_import.events (transcript_id, received_at) where transcript_id is not null;

-- +goose Down
drop table dixa_import.events;
