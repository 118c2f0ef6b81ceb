-- +goose Up
-- How many transcripts are in each status that they rest in. It is derived from transcripts, by the triggers below, because counting ten million
-- rows takes many seconds. Those with the other statuses are few, and have an index.
--
-- Each server process counts in rows of its own, so that transactions neither wait for each other nor deadlock: a total is the sum over
-- backend, and counts may be negative. The start of a run adds them to backend 0.
create table dixa_import.totals (
    source     text collate "C" not null,
    came_from  text collate "C" not null, -- '' for null
    status     text collate "C" not null,
    error_code text collate "C" not null, -- '' for null
    backend    integer not null,          -- pg_backend_pid() of the process that counts here
    count      bigint not null,
    primary key (source, came_from, status, error_code, backend)
) with (fillfactor = 50);

insert into dixa_import.totals (source, came_from, status, error_code, backend, count)
    select source, coalesce(came_from, ''), status, coalesce(error_code, ''), 0, count(*) from dixa_import.transcripts where not unfinished group by 1, 2, 3, 4;

-- +goose StatementBegin
create function dixa_import.count_inserted() returns trigger language plpgsql as $body$
begin
    insert into dixa_import.totals as t (source, came_from, status, error_code, backend, count)
        select source, coalesce(came_from, ''), status, coalesce(error_code, ''), pg_backend_pid(), count(*) from added where not unfinished
        group by 1, 2, 3, 4 order by 1, 2, 3, 4
        on conflict (source, came_from, status, error_code, backend) do update set count = t.count + excluded.count;
    return null;
end $body$;
-- +goose StatementEnd

-- +goose StatementBegin
create function dixa_import.count_deleted() returns trigger language plpgsql as $body$
begin
    insert into dixa_import.totals as t (source, came_from, status, error_code, backend, count)
        select source, coalesce(came_from, ''), status, coalesce(error_code, ''), pg_backend_pid(), -count(*) from removed where not unfinished
        group by 1, 2, 3, 4 order by 1, 2, 3, 4
        on conflict (source, came_from, status, error_code, backend) do update set count = t.count + excluded.count;
    return null;
end $body$;
-- +goose StatementEnd

-- +goose StatementBegin
create function dixa_import.count_updated() returns trigger language plpgsql as $body$
begin
    if not old.unfinished then
        insert into dixa_import.totals as t (source, came_from, status, error_code, backend, count)
            values (old.source, coalesce(old.came_from, ''), old.status, coalesce(old.error_code, ''), pg_backend_pid(), -1)
            on conflict (source, came_from, status, error_code, backend) do update set count = t.count - 1;
    end if;
    if not new.unfinished then
        insert into dixa_import.totals as t (source, came_from, status, error_code, backend, count)
            values (new.source, coalesce(new.came_from, ''), new.status, coalesce(new.error_code, ''), pg_backend_pid(), 1)
            on conflict (source, came_from, status, error_code, backend) do update set count = t.count + 1;
    end if;
    return null;
end $body$;
-- +goose StatementEnd

-- +goose StatementBegin
create function dixa_import.count_truncated() returns trigger language plpgsql as $body$
begin
    delete from dixa_import.totals;
    return null;
end $body$;
-- +goose StatementEnd

create trigger totals_insert after insert on dixa_import.transcripts
    referencing new table as added for each statement execute function dixa_import.count_inserted();
create trigger totals_delete after delete on dixa_import.transcripts
    referencing old table as removed for each statement execute function dixa_import.count_deleted();
-- Most updates are of unfinished transcripts: for each row, they cost this condition and no call.
create trigger totals_update after update on dixa_import.transcripts for each row
    when ((not old.unfinished or not new.unfinished) and
        (old.source, old.came_from, old.status, old.error_code) is distinct from (new.source, new.came_from, new.status, new.error_code))
    execute function dixa_import.count_updated();
create trigger totals_truncate after truncate on dixa_import.transcripts
    for each statement execute function dixa_import.count_truncated();

-- +goose Down
drop trigger totals_truncate on dixa_import.transcripts;
drop trigger totals_update on dixa_import.transcripts;
drop trigger totals_delete on dixa_import.transcripts;
drop trigger totals_insert on dixa_import.transcripts;
drop function dixa_import.count_truncated();
drop function dixa_import.count_updated();
drop function dixa_import.count_deleted();
drop function dixa_import.count_inserted();
drop table dixa_import.totals;
