-- +goose Up
-- What was observed of Dixa's behaviour for an organisation; Dixa documents it for other channels only. Null: not known yet.
create table dixa_import.organisations (
    base_url       text collate "C" not null,
    organisation   text collate "C" not null,
    external_ids   boolean, -- whether the messages of imported conversations come back with the externalIds with which they were sent
    list_lag_ms    bigint,  -- the longest time for which an imported conversation was missing from its end-user's list
    look_up_lag_ms bigint,  -- the longest time for which look-ups did not find a new end-user
    updated_at     timestamptz not null default clock_timestamp(),
    primary key (base_url, organisation)
);

-- +goose Down
drop table dixa_import.organisations;
