-- +goose Up
-- What Dixa reported about conversations that were imported. An event without a transcript waits for its import to be recorded; it is deleted
-- if that does not happen.
create table events (
    event_id         text not null primary key,
    base_url         text not null, -- of the organisation, as in sources
    organisation     text not null,
    source           text,
    transcript_id    text,
    conversation_id  integer not null,
    csid             integer,       -- the other number of the conversation, if the event gave two
    type             text not null, -- message_added, conversation_closed, conversation_assigned, typing_started or other
    event_fqn        text not null, -- the type as Dixa calls it
    at               text not null,
    received_at      text not null,
    author_id        text,
    author_type      text,
    author_name      text,          -- removed with the text
    text             text,          -- removed once the event was forwarded
    message_id       text,
    effect           text check (effect = 'assigned' or effect = 'closed'), -- what the transcript has yet to learn from it
    agent_id         text,          -- the agent who closed the conversation, or to whom it was assigned
    state            text not null check (state = 'waiting' or state = 'forwarded' or state = 'dead' or state = 'kept'), -- kept: it is not to be forwarded
    attempts         integer not null default 0,
    first_attempt_at text,
    next_attempt_at  text,          -- while it is being forwarded: when another process may forward it
    forwarded_at     text,
    claim            integer not null default 0, -- number of claims so far; fences off earlier ones
    claimed_by       text,
    last_status      integer,       -- of the last attempt's answer
    last_error       text,
    check ((source is null) = (transcript_id is null)),
    check ((state = 'waiting') = (next_attempt_at is not null))
);

create index events_due on events (source, next_attempt_at) where state = 'waiting';
create index events_order on events (source, transcript_id, at, received_at, event_id) where state = 'waiting';
create index events_unattached on events (received_at) where transcript_id is null;
create index events_effect on events (source, transcript_id) where effect is not null;
create index events_personal on events (received_at) where text is not null or author_name is not null;
create index events_dead on events (received_at) where state = 'dead';
create index events_transcript on events (transcript_id, received_at) where transcript_id is not null;

-- +goose Down
drop table events;
