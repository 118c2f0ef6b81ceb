-- +goose Up
-- What was asked of Dixa to take imports back. Dixa deletes nothing.
create table dixa_import.withdrawals (
    organisation    text collate "C" not null,
    action          text collate "C" not null check (action in ('tag', 'anonymize', 'anonymize_end_user')),
    target          text collate "C" not null, -- the conversation, with the tag if that is the action, or the end-user
    conversation_id bigint,
    source          text collate "C",
    transcript_id   text collate "C",
    run_id          bigint,      -- the run that imported the conversation
    state           text not null check (state in ('sending', 'asked', 'done', 'refused', 'gone')), -- asked: it waits in Dixa's queue
    request_id      text,        -- of Dixa's
    detail          text,        -- the name of the tag, or why Dixa refused
    attempts        integer not null, -- requests that were sent; fences off earlier ones
    claimed_by      text not null,    -- the process that sent the last one
    send_before     timestamptz, -- the request may leave until then
    asked_at        timestamptz,
    updated_at      timestamptz not null,
    primary key (organisation, action, target)
);

create index withdrawals_conversation on dixa_import.withdrawals (conversation_id) where conversation_id is not null;
create index withdrawals_run on dixa_import.withdrawals (run_id, action, target) where run_id is not null;

-- The run that imported the conversation. Null before this version: run_id, if that run was alive at imported_at.
alter table dixa_import.transcripts add column imported_by bigint;

-- +goose Down
alter table dixa_import.transcripts drop column imported_by;
drop table dixa_import.withdrawals;
