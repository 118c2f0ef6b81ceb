package checkpoint

import (
	"testing"

	"github.com/pressly/goose/v3"

	"dixa-import/migrations"
)

// TestUpgradeKeepsData: a checkpoint of the first version keeps everything when it is upgraded.
func TestUpgradeKeepsData(t *testing.T) {
	t.Parallel()
	for name, newURL := range backends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, url := t.Context(), newURL(t)
			store := open(t, url)
			db := openDB(t, url)
			dialect, files, options := goose.DialectSQLite3, migrations.SQLite(), []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
			if name == "postgres" {
				dialect, files = goose.DialectPostgres, migrations.Postgres()
				options = append(options, goose.WithTableName("dixa_import.goose_db_version"))
				if _, err := db.ExecContext(ctx, "create schema dixa_import"); err != nil {
					t.Fatal(err)
				}
			}
			provider, err := goose.NewProvider(dialect, db, files, options...)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := provider.UpTo(ctx, 1); err != nil {
				t.Fatal(err)
			}
			f := &fixture{url: url, db: db}
			f.sql(t, "insert into dixa_import.sources (source, base_url, organisation, watermark) values ('bot', 'b', 'o', '2026-11-19T08:00:00.000Z')")
			at := "'2026-11-19T08:00:00.000Z'"
			f.sql(t, "insert into dixa_import.transcripts (source, transcript_id, status, conversation_id, end_user_id, content_hash, closed_at, created_at, updated_at) "+
				"values ('bot', 'a', 'complete', 7, 'u', 'h', "+at+", "+at+", "+at+")")
			f.sql(t, "insert into dixa_import.transcripts (source, transcript_id, status, error_code, error, closed_at, created_at, updated_at) "+
				"values ('bot', 'b', 'skipped', 'mended', 'it was mended, and is transcript c now', "+at+", "+at+", "+at+")")
			f.sql(t, "insert into dixa_import.end_users (kind, value, end_user_id, resolved_at, organisation) values ('email', 'ann@example.org', 'u', "+at+", 'o')")

			f.Store = store
			latest, err := migrations.Latest(files)
			if err != nil {
				t.Fatal(err)
			}
			if from, to, err := f.Migrate(ctx); err != nil || from != 1 || to != latest {
				t.Fatalf("migrated from %d to %d: %v", from, to, err)
			}
			rows, err := f.Lookup(ctx, bot, 0, []string{"a"})
			if row := rows["a"]; err != nil || row.Status != Complete || row.ConversationID != 7 || row.EndUserID != "u" || row.ContentHash != "h" {
				t.Errorf("the transcript is %+v, %v", row, err)
			}
			const corrected = "it was corrected, and is transcript c now"
			if rows, err = f.Lookup(ctx, bot, 0, []string{"b"}); err != nil || rows["b"].ErrorCode != "corrected" || rows["b"].Error != corrected || rows["b"].Reason != "" {
				t.Errorf("the corrected one is %+v, %v", rows["b"], err)
			}
			// A run of the earlier version that began before the upgrade records the old code.
			f.sql(t, "update dixa_import.transcripts set error_code = 'mended' where transcript_id = 'b'")
			if rows, err = f.Lookup(ctx, bot, 0, []string{"b"}); err != nil || rows["b"].ErrorCode != "corrected" {
				t.Errorf("the corrected one is %+v, %v", rows["b"], err)
			}
			if at, ahead, err := f.Watermark(ctx, bot); err != nil || ahead || !at.Equal(t0) {
				t.Errorf("the watermark is %v, %v, %v", at, ahead, err)
			}
			email := Identifier{Email, "ann@example.org"}
			if known, err := f.FindEndUsers(ctx, "o", []Identifier{email}); err != nil || known[email] != "u" {
				t.Errorf("the end-users are %v, %v", known, err)
			}
		})
	}
}
