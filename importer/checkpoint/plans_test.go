package checkpoint

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"dixa-import/importer/checkpoint/pgtest"
)

// plan returns the database's plan of a query.
func (s *fixture) plan(t *testing.T, query string, args ...any) string {
	t.Helper()
	prefix := "explain "
	if s.sqlite() {
		prefix = "explain query plan "
	}
	rows, err := s.db.QueryContext(t.Context(), prefix+query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var plan strings.Builder
	for rows.Next() {
		line := make([]any, len(columns))
		for i := range line {
			line[i] = new(any)
		}
		if err := rows.Scan(line...); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&plan, *line[len(line)-1].(*any))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan.String()
}

// TestSQLitePlans checks which index serves each query. SQLite decides without looking at the data.
func TestSQLitePlans(t *testing.T) {
	t.Parallel()
	s := setup(t, "sqlite:"+filepath.Join(t.TempDir(), "checkpoint.db"))
	placeholder := regexp.MustCompile(`\?(\d*)`)
	for name, test := range map[string]struct{ query, want string }{
		"lookup":               {inList(sqliteLookup, 8), "PRIMARY KEY (source=? AND transcript_id=?)"},
		"complete":             {inList(sqliteComplete, 8), "PRIMARY KEY (source=? AND transcript_id=?)"},
		"select any":           {sqliteSelect[selectAny], "PRIMARY KEY (source=? AND transcript_id>?)"},
		"select ids":           {inList(sqliteSelect[selectIDs], 8), "PRIMARY KEY (source=? AND transcript_id=?)"},
		"select unfinished":    {sqliteSelect[selectUnfinished], "transcripts_unfinished (source=? AND transcript_id>?)"},
		"select attention":     {sqliteSelect[selectAttention], "COVERING INDEX transcripts_attention (source=? AND transcript_id>?)"},
		"unfinished":           {sqliteUnfinished, "transcripts_unfinished (source=? AND transcript_id>?)"},
		"watermark":            {advanceWatermark.sqlite, "transcripts_unfinished (source=?)"},
		"release claims":       {releaseClaims.sqlite, "transcripts_unfinished (source=?)"},
		"clear rejected":       {clearRejected.sqlite, "transcripts_file (source=? AND file=?)"},
		"touch":                {touchRejected.sqlite, "PRIMARY KEY (source=? AND transcript_id=?)"},
		"conversations":        {inList(sqliteConversations, 8), "transcripts_conversation (conversation_id=?"},
		"conversation holders": {inList(sqliteConversationHolders, 8), "transcripts_conversation (conversation_id=? AND source=?)"},
		"partial errors":       {inList(sqlitePartial, 8), "PRIMARY KEY (source=? AND transcript_id=?)"},
		"persons":              {ownerOf.sqlite, "PRIMARY KEY (kind=? AND value=?)"},
		"of an end-user":       {readIdentifiers.sqlite, "end_users_end_user (end_user_id=?)"},
		"forget a person":      {forgetPerson.sqlite, "end_users_end_user (end_user_id=?)"},
		"store an event":       {insertEvent.sqlite, "transcripts_conversation (conversation_id=?"},
		"apply an effect":      {applyEffect.sqlite, "SEARCH t USING PRIMARY KEY (source=? AND transcript_id=?)"},
		"attach events":        {attachEvents.sqlite, "events_unattached"},
		"attach to":            {attachEvents.sqlite, "transcripts_conversation (conversation_id=?"},
		"first event":          {firstEvent.sqlite, "events_due (source=?)"},
		"next event":           {nextEvent.sqlite, "events_due (source=? AND next_attempt_at>?)"},
		"claim events":         {claimEvents.sqlite, "events_due (source=? AND next_attempt_at<?)"},
		"events before":        {claimEvents.sqlite, "events_order (source=? AND transcript_id=?"},
		"delay later events":   {delayLater.sqlite, "events_order (source=? AND transcript_id=?)"},
		"hasten later events":  {hastenLater.sqlite, "events_order (source=? AND transcript_id=?)"},
		"drop texts":           {dropTexts.sqlite, "events_personal (received_at<?)"},
		"retry events":         {retryEvents.sqlite, "events_dead"},
		"forget events":        {forgetEvents.sqlite, "events_transcript (transcript_id=?)"},
	} {
		n := 0
		for _, m := range placeholder.FindAllStringSubmatch(test.query, -1) {
			if number, err := strconv.Atoi(m[1]); err == nil {
				n = max(n, number)
			} else {
				n++
			}
		}
		plan := s.plan(t, test.query, make([]any, n)...)
		if !strings.Contains(plan, test.want) || strings.Contains(plan, "SCAN transcripts") {
			t.Errorf("%s does not use %s:\n%s", name, test.want, plan)
		}
	}
}

// TestPostgresPlans checks the same with many transcripts, of which a few are not complete.
func TestPostgresPlans(t *testing.T) {
	t.Parallel()
	s := setup(t, pgtest.New(t))
	s.fill(t, 20_000, 500, Failed)
	s.sql(t, "update dixa_import.transcripts set status = 'pending' where transcript_id in ('t-0001000', 't-0011000')")
	s.sql(t, "analyze dixa_import.transcripts")
	placeholder := regexp.MustCompile(`\$(\d)::[a-z]+(\[\])?`)
	for name, test := range map[string]struct {
		query, want string
		values      []string
	}{
		"select attention": {postgresSelect[selectAttention], "Index Only Scan using transcripts_attention",
			[]string{"'bot'", "1", "''", "100", "'{failed,in_doubt}'", "'{refused}'", "'{attribute}'"}},
		"select unfinished": {postgresSelect[selectUnfinished], "transcripts_unfinished",
			[]string{"'bot'", "1", "''", "100", "'{pending,imported}'", "'{a}'", "'{other}'"}},
		"select ids": {postgresSelect[selectIDs], "transcript_id = ANY",
			[]string{"'bot'", "1", "''", "100", "null", "null", "null", "'{a,b}'"}},
		"select any": {postgresSelect[selectAny], "using transcripts_pkey", []string{"'bot'", "1", "''", "100", "'{complete}'", "null", "null"}},
		"unfinished": {postgresUnfinished, "transcripts_unfinished", []string{"'bot'", "''", "1", "100"}},
		"clear":      {clearRejected.postgres, "transcripts_file", []string{"'bot'", "'f'", "1"}},
	} {
		query := placeholder.ReplaceAllStringFunc(test.query, func(m string) string {
			return test.values[m[1]-'1'] + m[2:]
		})
		plan := s.plan(t, query)
		// A hashed subplan of a selection would read all partial errors for each page.
		if !strings.Contains(plan, test.want) || strings.HasPrefix(name, "select") && strings.Contains(plan, "hashed") {
			t.Errorf("%s does not use %s:\n%s", name, test.want, plan)
		}
	}
}
