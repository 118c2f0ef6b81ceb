-- +goose Up
-- When a conversation was reopened last, by Dixa's clock. What Dixa reports of earlier times changes nothing any more.
alter table dixa_import.transcripts add column reopened_at timestamptz;

-- For counts of hand-overs.
create index transcripts_handover on dixa_import.transcripts (source, handover_state, queue_id, closed_by) where handover_state is not null;
-- For what continues a transcript.
create index transcripts_follow_up on dixa_import.transcripts (source, follow_up_of) where follow_up_of is not null;

-- +goose Down
drop index dixa_import.transcripts_follow_up;
drop index dixa_import.transcripts_handover;
alter table dixa_import.transcripts drop column reopened_at;
