-- +goose Up
-- How many transcripts are in each status that they rest in. It is derived from transcripts, by the triggers below, because counting ten million
-- rows takes half a minute. Those with the other statuses are few, and have an index.
create table totals (
    source     text not null,
    came_from  text not null, -- '' for null
    status     text not null,
    error_code text not null, -- '' for null
    count      integer not null,
    primary key (source, came_from, status, error_code)
) without rowid;

insert into totals (source, came_from, status, error_code, count)
    select source, coalesce(came_from, ''), status, coalesce(error_code, ''), count(*) from transcripts where not unfinished group by 1, 2, 3, 4;

-- +goose StatementBegin
create trigger totals_insert after insert on transcripts
    when new.status <> 'pending' and new.status <> 'sending' and new.status <> 'imported'
begin
    insert into totals (source, came_from, status, error_code, count)
        values (new.source, coalesce(new.came_from, ''), new.status, coalesce(new.error_code, ''), 1)
        on conflict do update set count = count + 1;
end;
-- +goose StatementEnd

-- +goose StatementBegin
create trigger totals_delete after delete on transcripts
    when old.status <> 'pending' and old.status <> 'sending' and old.status <> 'imported'
begin
    update totals set count = count - 1
        where source = old.source and came_from = coalesce(old.came_from, '') and status = old.status and error_code = coalesce(old.error_code, '');
end;
-- +goose StatementEnd

-- +goose StatementBegin
create trigger totals_leave after update of source, status, error_code, came_from on transcripts
    when old.status <> 'pending' and old.status <> 'sending' and old.status <> 'imported'
begin
    update totals set count = count - 1
        where source = old.source and came_from = coalesce(old.came_from, '') and status = old.status and error_code = coalesce(old.error_code, '');
end;
-- +goose StatementEnd

-- +goose StatementBegin
create trigger totals_enter after update of source, status, error_code, came_from on transcripts
    when new.status <> 'pending' and new.status <> 'sending' and new.status <> 'imported'
begin
    insert into totals (source, came_from, status, error_code, count)
        values (new.source, coalesce(new.came_from, ''), new.status, coalesce(new.error_code, ''), 1)
        on conflict do update set count = count + 1;
end;
-- +goose StatementEnd

-- +goose Down
drop trigger totals_enter;
drop trigger totals_leave;
drop trigger totals_delete;
drop trigger totals_insert;
drop table totals;
