-- +goose Up
-- When a conversation was reopened last, by Dixa's clock. What Dixa reports of earlier times changes nothing any more.
alter table dixa_import.transcripts add column reopened_at timestamptz;

-- +goose Down
alter table dixa_import.transcripts drop column reopened_at;
