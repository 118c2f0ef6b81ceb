-- +goose Up
-- What was observed of Dixa's behaviour for an organisation; Dixa documents it for other channels only. Null: not known yet.
create table organisations (
    base_url       text not null,
    organisation   text not null,
    external_ids   integer check (external_ids = 0 or external_ids = 1), -- whether messages come back with the externalIds with which they were sent
    list_lag_ms    integer, -- the longest time for which an imported conversation was missing from its end-user's list
    look_up_lag_ms integer, -- the longest time for which look-ups did not find a new end-user
    updated_at     text not null,
    primary key (base_url, organisation)
) without rowid;

-- +goose Down
drop table organisations;
