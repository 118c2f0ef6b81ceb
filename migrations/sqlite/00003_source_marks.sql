-- +goose Up
-- The mark of a source in Dixa names the checkpoint that imports it. Each source has its own id, so another database can take over
-- a single source.
alter table sources add column mark_id text; -- a UUID, set before anything is sent
alter table sources add column mark_end_user_id text; -- the end-user in Dixa that is the mark, once known

-- +goose Down
alter table sources drop column mark_end_user_id;
alter table sources drop column mark_id;
