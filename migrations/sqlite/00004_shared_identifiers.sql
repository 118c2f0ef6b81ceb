-- +goose Up
-- Earlier versions could give an end-user several identifiers of a kind, so the owner of such an identifier is uncertain. A shared
-- identifier is ignored until its end-user is found or created again. It is only used to erase a person.
alter table end_users add column shared integer not null default 0;

update end_users set shared = 1 where end_user_id is not null and (organisation, end_user_id, kind) in
    (select organisation, end_user_id, kind from end_users where end_user_id is not null group by organisation, end_user_id, kind having count(*) > 1);

-- +goose Down
alter table end_users drop column shared;
