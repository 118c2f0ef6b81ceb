-- +goose Up
-- An identifier of an end-user that has others of its kind, from before people were told apart: whose it is is not certain. It leads to nobody until
-- it is found or created again, and only serves to forget a person.
alter table dixa_import.end_users add column shared boolean not null default false;

update dixa_import.end_users set shared = true where end_user_id is not null and (organisation, end_user_id, kind) in
    (select organisation, end_user_id, kind from dixa_import.end_users where end_user_id is not null group by organisation, end_user_id, kind having count(*) > 1);

-- +goose Down
alter table dixa_import.end_users drop column shared;
