-- +goose Up
-- The mark of a source in Dixa names the checkpoint that imports it, by an id of its own for each source: of two sources in one
-- database each can be taken over by another database alone.
alter table sources add column mark_id text; -- a UUID, made before anything is sent
alter table sources add column mark_end_user_id text; -- the end-user in Dixa that bears it, once that is known

-- +goose Down
alter table sources drop column mark_end_user_id;
alter table sources drop column mark_id;
