-- +goose Up
-- An identifier of an end-user that has others of its kind, from before people were told apart: whose it is is not certain. It leads to nobody until
-- it is found or created again, and only serves to forget a person.
alter table end_users add column shared integer not null default 0;

update end_users set shared = 1 where end_user_id is not null and (organisation, end_user_id, kind) in
    (select organisation, end_user_id, kind from end_users where end_user_id is not null group by organisation, end_user_id, kind having count(*) > 1);

-- +goose Down
alter table end_users drop column shared;
