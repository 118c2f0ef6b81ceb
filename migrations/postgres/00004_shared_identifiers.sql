-- +goose Up
-- Earlier versions could give an end-user several identifiers of a kind, so the owner of such an identifier is uncertain. A shared
-- identifier is ignored until its end-user is found or created again. It is only used to erase a person.
alter table dixa_import.end_users add column shared boolean not null default false;

update dixa_import.end_users set shared = true where end_user_id is not null and (organisation, end_user_id, kind) in
    (select organisation, end_user_id, kind from dixa_import.end_users where end_user_id is not null group by organisation, end_user_id, kind having count(*) > 1);

-- +goose Down
alter table dixa_import.end_users drop column shared;
