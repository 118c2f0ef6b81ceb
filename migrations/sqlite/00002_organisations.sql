-- +goose Up
-- What was found out about how Dixa answers for an organisation, which is documented for other channels only. Null: not known yet.
create table organisations (
    base_url       text not null,
    organisation   text not null,
    external_ids   integer check (external_ids = 0 or external_ids = 1), -- whether messages come back with the externalIds that they were sent with
    list_lag_ms    integer, -- the longest that an imported conversation was seen to be missing from its end-user's list
    look_up_lag_ms integer, -- the longest that a created end-user was seen to be missing from look-ups
    updated_at     text not null,
    primary key (base_url, organisation)
) without rowid;

-- +goose Down
drop table organisations;
