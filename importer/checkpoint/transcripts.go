package checkpoint

import "context"

var (
	// Transcripts of the statuses that they rest in are counted by triggers, the few others here.
	readTotals = both(`select source, status, error_code, (sum(n))::bigint from (
			select source, status, error_code, count as n from dixa_import.totals where $1::text = '' or source = $1::text
			union all
			select source, status, coalesce(error_code, ''), 1 from dixa_import.transcripts {indexed by transcripts_unfinished}
			where unfinished and ($1::text = '' or source = $1::text)) as counted
		group by source, status, error_code having sum(n) > 0 order by source, status collate "C", error_code collate "C"`)
	readFileTotals = both(`select source, came_from, status, (sum(n))::bigint from (
			select source, came_from, status, count as n from dixa_import.totals where $1::text = '' or source = $1::text
			union all
			select source, coalesce(came_from, ''), status, 1 from dixa_import.transcripts {indexed by transcripts_unfinished}
			where unfinished and ($1::text = '' or source = $1::text)) as counted
		group by source, came_from, status having sum(n) > 0 order by source, came_from collate "C", status collate "C"`)
	// There is no index by run: it would slow down every import, and this is rarely asked.
	readRunTotals = both(`select source, status, coalesce(error_code, ''), count(*) from dixa_import.transcripts
		where ($1::text = '' or source = $1::text) and run_id = $2::bigint
		group by 1, 2, 3 order by source, status collate "C", coalesce(error_code, '') collate "C"`)
	readRunFileTotals = both(`select source, coalesce(came_from, ''), status, count(*) from dixa_import.transcripts
		where ($1::text = '' or source = $1::text) and run_id = $2::bigint
		group by 1, 2, 3 order by source, coalesce(came_from, '') collate "C", status collate "C"`)
	clearRejected = both(`delete from dixa_import.transcripts {indexed by transcripts_file}
		where source = $1::text and file = $2::text and status = 'rejected'
			and updated_at < (select started_at from dixa_import.runs where id = $3::bigint)`)
	touchRejected = apart(`update dixa_import.transcripts t set run_id = $3::bigint, updated_at = {in $4}
		from (select transcript_id from dixa_import.transcripts where source = $1::text and transcript_id {any $2}
			and status = 'rejected' and file is not null order by transcript_id for update) as touched
		where t.source = $1::text and t.transcript_id = touched.transcript_id`,
		`update transcripts set run_id = $3, updated_at = {in $4}
		where source = $1 and status = 'rejected' and file is not null and transcript_id {any $2}`)
)

// Totals counts transcripts by status and error code. It counts those of one source, or of all sources if source is "", and only those that
// run last worked on, unless run is 0.
func (s *Store) Totals(ctx context.Context, source string, run int64) (list []Total, err error) {
	read := readTotals.with(source)
	if run != 0 {
		read = readRunTotals.with(source, run)
	}
	read.row = func(row scanner) error {
		var t Total
		err := row.Scan(&t.Source, &t.Status, &t.ErrorCode, &t.Count)
		list = append(list, t)
		return err
	}
	err = s.read(ctx, "count", read)
	return list, err
}

// FileTotals counts transcripts by where they came from and status, of the transcripts that Totals counts.
func (s *Store) FileTotals(ctx context.Context, source string, run int64) (list []FileTotal, err error) {
	read := readFileTotals.with(source)
	if run != 0 {
		read = readRunFileTotals.with(source, run)
	}
	read.row = func(row scanner) error {
		var t FileTotal
		err := row.Scan(&t.Source, &t.CameFrom, &t.Status, &t.Count)
		list = append(list, t)
		return err
	}
	err = s.read(ctx, "count", read)
	return list, err
}

// ClearRejected deletes the rejected records that are identified by their place in the file and were neither claimed nor touched since the
// run began. Other runs may read the file at the same time: the records that they have touched stay too.
func (s *Store) ClearRejected(ctx context.Context, source string, run int64, file string) error {
	return s.write(ctx, "clear rejected records in", clearRejected.with(source, clean(file), run))
}

// Touch marks rejected records that are identified by their place as seen by this run, so that ClearRejected keeps them.
func (s *Store) Touch(ctx context.Context, source string, run int64, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	return s.write(ctx, "write", touchRejected.with(source, cleanIDs(ids), run, present))
}

// PartialErrors returns the partial errors of a transcript in the order in which they were recorded.
func (s *Store) PartialErrors(ctx context.Context, source, id string) ([]PartialError, error) {
	found, err := s.PartialErrorsOf(ctx, source, []string{id})
	return found[clean(id)], err
}
