package connect

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckAddress(t *testing.T) {
	t.Parallel()
	there := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const at = "://bot:Sekret@h:5432/db"
	for _, tt := range []struct {
		address            string
		source, checkpoint string // parts of the error, "" for none
	}{
		{"postgres" + at, "", ""},
		{"postgresql+psycopg2" + at, "", ""},
		{"jdbc:postgresql" + at, "", ""},
		{"postgres" + at + "?sslmode=require&sslrootcert=" + there, "", ""},
		{"host=h dbname=db password=Sekret sslmode=require", "", ""},
		{"postgres://bot:Sek?ret:x@h/db", "", ""},
		{"ecto" + at, "ecto://", "ecto://"},
		{"mysql" + at, "begins with mysql:", "begins with mysql:"},
		{"mysql+pymysql" + at, "begins with mysql+pymysql:", "must be sqlite:PATH"},
		{"jdbc:mysql" + at, "begins with mysql:", "begins with mysql:"},
		{"mongodb+srv" + at, "begins with mongodb+srv:", "begins with mongodb+srv:"},
		{"jdbc:postgresql:db?password=Sekret", "begins with postgresql: and not", "begins with postgresql: and not"},
		{"Host=h;Port=5432;Username=bot;Password=Sekret;Database=db", "written for .NET", "written for .NET"},
		{"Server = h; User Id=bot;Password=Sekret", "written for .NET", "written for .NET"},
		{"postgres" + at + "?sslmode=maybe", "parameter sslmode", "verify-ca or verify-full"},
		{"host=h password='Sekret' sslmode=sometimes", "parameter sslmode", "parameter sslmode"},
		{"postgres" + at + "?sslmode=verify-full&sslrootcert=/no/such.pem", "sslrootcert, whose file /no/such.pem", "no such file"},
		{"postgres" + at + "?sslcert=no.crt&sslkey=no.key", "the parameter sslcert", "the parameter sslcert"},
		{"sqlite:bot.db", "source can only be Postgres", ""},
		{"sqlite:/srv/bot.db", "source can only be Postgres", ""},
		{"sqlite:////srv/bot.db", "source can only be Postgres", ""},
		{"sqlite:///bot.db", "source can only be Postgres", "sqlite:bot.db for the file in the working directory, or sqlite:/bot.db"},
		{"'SQLite:///srv/bot.db'", "source can only be Postgres", "or sqlite:/srv/bot.db"},
	} {
		for use, want := range map[Use]string{ForSource: tt.source, ForCheckpoint: tt.checkpoint} {
			err := CheckAddress(Address(tt.address, use), use)
			switch {
			case want == "" && err != nil:
				t.Errorf("%s for %d: %v", tt.address, use, err)
			case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
				t.Errorf("%s for %d: the error is %v, want %q", tt.address, use, err, want)
			case err != nil && strings.Contains(err.Error(), "Sekret"):
				t.Errorf("%s for %d: %v", tt.address, use, err)
			}
		}
	}
}
