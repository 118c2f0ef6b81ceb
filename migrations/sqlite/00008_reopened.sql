-- +goose Up
-- When a conversation was reopened last, by Dixa's clock. What Dixa reports of earlier times changes nothing any more.
alter table transcripts add column reopened_at text;

-- +goose Down
alter table transcripts drop column reopened_at;
