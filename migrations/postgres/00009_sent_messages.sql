-- +goose Up
-- Which messages of the record were sent: how many, and a hash of them, so that a chat that goes on after its import can be told from one
-- that was edited. Earlier rows have none.
alter table dixa_import.transcripts add column sent_messages text;

alter table dixa_import.runs add column changed bigint not null default 0;
alter table dixa_import.runs add column grown bigint not null default 0;

-- +goose Down
alter table dixa_import.runs drop column changed;
alter table dixa_import.runs drop column grown;
alter table dixa_import.transcripts drop column sent_messages;
