-- +goose Up
-- Which attributes and tags the conversation was given last: short hashes of names and values, no values. Earlier rows have none.
alter table dixa_import.transcripts add column set_values text;

-- +goose Down
alter table dixa_import.transcripts drop column set_values;
