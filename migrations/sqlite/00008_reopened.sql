-- +goose Up
-- When a conversation was reopened last, by Dixa's clock. What Dixa reports of earlier times changes nothing any more.
alter table transcripts add column reopened_at text;

-- For counts of hand-overs.
create index transcripts_handover on transcripts (source, handover_state, queue_id, closed_by) where handover_state is not null;
-- For what continues a transcript.
create index transcripts_follow_up on transcripts (source, follow_up_of) where follow_up_of is not null;
-- Nobody writes before they are assigned, or after they have closed.
drop index events_order;
create index events_order on events (source, transcript_id, at, (case type when 'conversation_assigned' then 0 when 'conversation_closed' then 2 else 1 end), received_at, event_id) where state = 'waiting';

-- +goose Down
drop index events_order;
create index events_order on events (source, transcript_id, at, received_at, event_id) where state = 'waiting';
drop index transcripts_follow_up;
drop index transcripts_handover;
alter table transcripts drop column reopened_at;
