-- +goose Up
-- What was asked of Dixa to take imports back. Dixa deletes nothing.
create table withdrawals (
    organisation    text not null,
    action          text not null check (action in ('tag', 'anonymize', 'anonymize_end_user')),
    target          text not null, -- the conversation, with the tag if that is the action, or the end-user
    conversation_id integer,
    source          text,
    transcript_id   text,
    run_id          integer,       -- the run that imported the conversation
    state           text not null check (state in ('sending', 'asked', 'done', 'refused', 'gone')), -- asked: it waits in Dixa's queue
    request_id      text,          -- of Dixa's
    detail          text,          -- the name of the tag, or why Dixa refused
    attempts        integer not null, -- requests that were sent; fences off earlier ones
    claimed_by      text not null,    -- the process that sent the last one
    send_before     text,          -- the request may leave until then
    asked_at        text,
    updated_at      text not null,
    primary key (organisation, action, target)
) without rowid;

create index withdrawals_conversation on withdrawals (conversation_id) where conversation_id is not null;
create index withdrawals_run on withdrawals (run_id, action, target) where run_id is not null;

-- The run that imported the conversation. Null before this version: run_id, if that run was alive at imported_at.
alter table transcripts add column imported_by integer;

-- +goose Down
alter table transcripts drop column imported_by;
drop table withdrawals;
