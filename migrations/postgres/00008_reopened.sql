-- +goose Up
-- When a conversation was reopened last, by Dixa's clock. What Dixa reports of earlier times changes nothing any more.
alter table dixa_import.transcripts add column reopened_at timestamptz;

-- For counts of hand-overs.
create index transcripts_handover on dixa_import.transcripts (source, handover_state, queue_id, closed_by) where handover_state is not null;
-- For what continues a transcript.
create index transcripts_follow_up on dixa_import.transcripts (source, follow_up_of) where follow_up_of is not null;
-- With the source in front, the planner may take it for searches within a transcript, for as long as the table has no statistics.
drop index dixa_import.events_due;
create index events_due on dixa_import.events (next_attempt_at) where state = 'waiting';
-- Nobody writes before they are assigned, or after they have closed.
drop index dixa_import.events_order;
create index events_order on dixa_import.events (source, transcript_id, at, (case type when 'conversation_assigned' then 0 when 'conversation_closed' then 2 else 1 end), received_at, event_id) where state = 'waiting';

-- +goose Down
drop index dixa_import.events_order;
create index events_order on dixa_import.events (source, transcript_id, at, received_at, event_id) where state = 'waiting';
drop index dixa_import.events_due;
create index events_due on dixa_import.events (source, next_attempt_at) where state = 'waiting';
drop index dixa_import.transcripts_follow_up;
drop index dixa_import.transcripts_handover;
alter table dixa_import.transcripts drop column reopened_at;
