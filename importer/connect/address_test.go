package connect

import "testing"

func TestDatabaseAddress(t *testing.T) {
	t.Parallel()
	const plain = "postgres://u:p%40ss@h:5432/db"
	for _, tt := range []struct{ in, source, checkpoint string }{
		{plain, plain, plain},
		{"  " + plain + " \r\n", plain, plain},
		{`"` + plain + "\"\n", plain, plain},
		{"'\t" + plain + "'", plain, plain},
		{"\ufeff`" + plain + "`\u200b", plain, plain},
		{"postgresql+psycopg2" + plain[8:], plain, plain},
		{"Postgres+asyncpg" + plain[8:], plain, plain},
		{"jdbc:postgresql://h:5432/db?user=u&password=p%20w", "postgres://h:5432/db?password=p%20w&user=u", "postgres://h:5432/db?password=p%20w&user=u"},
		{"postgis" + plain[8:], plain, plain},
		{plain + "?", plain, plain},
		{plain + "?pgbouncer=true&connection_limit=1&pool_timeout=20", plain, plain},
		{plain + "?schema=bot", plain + `?search_path=%22bot%22`, plain},
		{plain + "?schema=public&sslmode=require", plain + "?search_path=%22public%22&sslmode=require", plain + "?sslmode=require"},
		{plain + "?currentSchema=a,B", plain + "?search_path=%22a%22%2C%20%22B%22", plain},
		{plain + "?sslmode=no-verify", plain + "?sslmode=require", plain + "?sslmode=require"},
		{plain + "?ssl=true&sslfactory=org.postgresql.ssl.NonValidatingFactory", plain + "?sslmode=require", plain + "?sslmode=require"},
		{plain + "?ssl=false", plain + "?sslmode=disable", plain + "?sslmode=disable"},
		{plain + "?sslmode=verify-full&ssl=true", plain + "?sslmode=verify-full", plain + "?sslmode=verify-full"},
		{plain + "?sslmode=REQUIRE", plain + "?sslmode=require", plain + "?sslmode=require"},
		{plain + "?sslmode=require&sslaccept=strict", plain + "?sslmode=verify-full", plain + "?sslmode=verify-full"},
		{plain + "?sslmode=require&channel_binding=require", plain + "?channel_binding=require&sslmode=require", plain + "?channel_binding=require&sslmode=require"},
		{plain + "?statement_timeout=5000&ApplicationName=x", plain + "?application_name=x&statement_timeout=5000", plain + "?application_name=x&statement_timeout=5000"},
		{plain + "?options=-c%20statement_timeout%3D5", plain + "?options=-c%20statement_timeout%3D5", plain + "?options=-c%20statement_timeout%3D5"},
		{plain + "?pool_max_conns=3", plain, plain + "?pool_max_conns=3"},
		{plain + "?sslmod=verify-full", plain + "?sslmod=verify-full", plain + "?sslmod=verify-full"}, // the server rejects it
		{"postgres://u:p?x@h/db", "postgres://u:p?x@h/db", "postgres://u:p?x@h/db"},
		{"postgres://h1:5432,h2:5433/db?schema=a", "postgres://h1:5432,h2:5433/db?search_path=%22a%22", "postgres://h1:5432,h2:5433/db"},
		{" host=h dbname=db\n", "host=h dbname=db", "host=h dbname=db"},
		{"sqlite:bot.db\n", "sqlite:bot.db", "sqlite:bot.db"},
		{" \"sqlite:bot.db\" ", "sqlite:bot.db", "sqlite:bot.db"},
		{"SQLite: bot.db", "sqlite:bot.db", "sqlite:bot.db"},
		{"'sqlite:///srv/bot.db'\r\n", "sqlite:///srv/bot.db", "sqlite:///srv/bot.db"},
		{"JDBC: postgresql://h/d ?currentSchema=a", "postgres://h/d?search_path=%22a%22", "postgres://h/d"},
		{"jdbc: \t'mysql://h/db'", "mysql://h/db", "mysql://h/db"},
		{"mysql://h/db", "mysql://h/db", "mysql://h/db"},
		{"\"\"", "", ""},
	} {
		for use, want := range map[Use]string{ForSource: tt.source, ForCheckpoint: tt.checkpoint} {
			got := Address(tt.in, use)
			if got != want {
				t.Errorf("%q for %d: got %q, want %q", tt.in, use, got, want)
			}
			if again := Address(got, use); again != got {
				t.Errorf("%q is not stable: the second call gives %q", got, again)
			}
		}
	}
}

func FuzzDatabaseAddress(f *testing.F) {
	for _, s := range []string{"", "jdBC: 0", "'\"", "jdbc:jdbc:postgresql://h?user=%zz", "postgres://u:p@h/d?schema=a&ssl=1", "sqlite:\n", "postgres+://?;&=", "\"postgres://h/d?options=%22\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		for _, use := range []Use{ForSource, ForCheckpoint} {
			got := Address(raw, use)
			if got != Unwrapped(got) {
				t.Fatalf("%q becomes %q, which is still wrapped", raw, got)
			}
		}
	})
}
