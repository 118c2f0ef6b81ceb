-- +goose Up
-- Which messages of the record were sent: how many, and a hash of them, so that a chat that goes on after its import can be told from one
-- that was edited. Earlier rows have none.
alter table transcripts add column sent_messages text;

alter table runs add column changed integer not null default 0;
alter table runs add column grown integer not null default 0;

-- +goose Down
alter table runs drop column changed;
alter table runs drop column grown;
alter table transcripts drop column sent_messages;
