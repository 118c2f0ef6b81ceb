-- +goose Up
-- What a refusal is about, in one word such as attachment, decided by Dixa's whole answer before anything in it was masked: advice is
-- chosen by it. Rows of before have none.
alter table dixa_import.transcripts add column reason text;

-- Records that were corrected under an id of their own were said to be mended.
update dixa_import.transcripts set error_code = 'corrected', error = replace(error, 'it was mended, and is transcript ', 'it was corrected, and is transcript ')
    where error_code = 'mended';

-- +goose Down
update dixa_import.transcripts set error_code = 'mended', error = replace(error, 'it was corrected, and is transcript ', 'it was mended, and is transcript ')
    where error_code = 'corrected';
alter table dixa_import.transcripts drop column reason;
