-- +goose Up
-- What follows an import and must not be done twice, such as a transfer: each step is recorded before its request leaves.
create table steps (
    source        text not null,
    transcript_id text not null,
    step          text not null,
    state         text not null check (state in ('planned', 'sending', 'done', 'refused', 'skipped')),
    detail        text, -- such as the id of a rating or of a queue; never what a customer wrote
    send_before   text, -- the step's request may leave until then
    updated_at    text not null,
    primary key (source, transcript_id, step)
) without rowid;

alter table transcripts add column queue_id text;
alter table transcripts add column handover_state text check (handover_state in ('waiting', 'assigned', 'closed'));
alter table transcripts add column agent_closed_at text;
alter table transcripts add column closed_by text; -- the agent who closed the conversation
alter table transcripts add column follow_up_of text; -- the transcript that this one continues

create table new_partial_errors (
    source              text not null,
    transcript_id       text not null,
    ordinal             integer not null check (ordinal >= 1),
    kind                text not null check (kind in
        ('message', 'attachment', 'assignment', 'attribute', 'adopted', 'duplicate', 'tag', 'rating', 'note', 'transfer', 'link', 'other')),
    message             text not null,
    message_external_id text,
    attribute           text,
    primary key (source, transcript_id, ordinal)
) without rowid;
insert into new_partial_errors select source, transcript_id, ordinal, kind, message, message_external_id, attribute from partial_errors;
drop table partial_errors;
alter table new_partial_errors rename to partial_errors;

-- +goose Down
create table old_partial_errors (
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
insert into old_partial_errors select source, transcript_id, ordinal,
    case when kind in ('tag', 'rating', 'note', 'transfer', 'link') then 'other' else kind end, message, message_external_id, attribute from partial_errors;
drop table partial_errors;
alter table old_partial_errors rename to partial_errors;
alter table transcripts drop column queue_id;
alter table transcripts drop column handover_state;
alter table transcripts drop column agent_closed_at;
alter table transcripts drop column closed_by;
alter table transcripts drop column follow_up_of;
drop table steps;
