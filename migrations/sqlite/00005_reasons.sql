-- +goose Up
-- What a refusal concerns, in one word such as attachment. It is derived from Dixa's whole answer before masking, and determines the
-- advice. Earlier rows have none.
alter table transcripts add column reason text;

-- Rename the code "mended" of records that were corrected under another id.
update transcripts set error_code = 'corrected', error = replace(error, 'it was mended, and is transcript ', 'it was corrected, and is transcript ')
    where error_code = 'mended';

-- +goose Down
update transcripts set error_code = 'mended', error = replace(error, 'it was corrected, and is transcript ', 'it was mended, and is transcript ')
    where error_code = 'corrected';
alter table transcripts drop column reason;
