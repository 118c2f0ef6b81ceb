-- +goose Up
-- Where a transcript was read: the path of its file, or the name of the source for a query. Earlier rows have none until they are worked on again.
alter table transcripts add column came_from text;

-- +goose Down
alter table transcripts drop column came_from;
