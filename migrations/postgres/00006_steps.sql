-- +goose Up
-- What follows an import and must not be done twice, such as a transfer: each step is recorded before its request leaves.
create table dixa_import.steps (
    source        text collate "C" not null,
    transcript_id text collate "C" not null,
    step          text collate "C" not null,
    state         text not null check (state in ('planned', 'sending', 'done', 'refused', 'skipped')),
    detail        text,        -- such as the id of a rating or of a queue; never what a customer wrote
    send_before   timestamptz, -- the step's request may leave until then
    updated_at    timestamptz not null default clock_timestamp(),
    primary key (source, transcript_id, step)
);

alter table dixa_import.transcripts
    add column queue_id        text,
    add column handover_state  text check (handover_state in ('waiting', 'assigned', 'closed')),
    add column agent_closed_at timestamptz,
    add column closed_by       text, -- the agent who closed the conversation
    add column follow_up_of    text; -- the transcript that this one continues

alter table dixa_import.partial_errors drop constraint partial_errors_kind_check;
alter table dixa_import.partial_errors add constraint partial_errors_kind_check check (kind in
    ('message', 'attachment', 'assignment', 'attribute', 'adopted', 'duplicate', 'tag', 'rating', 'note', 'transfer', 'link', 'other'));

-- +goose Down
alter table dixa_import.partial_errors drop constraint partial_errors_kind_check;
update dixa_import.partial_errors set kind = 'other' where kind in ('tag', 'rating', 'note', 'transfer', 'link');
alter table dixa_import.partial_errors add constraint partial_errors_kind_check check (kind in
    ('message', 'attachment', 'assignment', 'attribute', 'adopted', 'duplicate', 'other'));
alter table dixa_import.transcripts drop column queue_id, drop column handover_state, drop column agent_closed_at, drop column closed_by, drop column follow_up_of;
drop table dixa_import.steps;
