-- +goose Up
-- What was found out about how Dixa answers for an organisation, which is documented for other channels only. Null: not known yet.
create table dixa_import.organisations (
    base_url       text collate "C" not null,
    organisation   text collate "C" not null,
    external_ids   boolean, -- whether the messages of imported conversations come back with the externalIds that they were sent with
    list_lag_ms    bigint,  -- the longest that an imported conversation was seen to be missing from its end-user's list
    look_up_lag_ms bigint,  -- the longest that a created end-user was seen to be missing from look-ups
    updated_at     timestamptz not null default clock_timestamp(),
    primary key (base_url, organisation)
);

-- +goose Down
drop table dixa_import.organisations;
