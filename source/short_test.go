package source

import "testing"

// skipIfShort skips a test that takes seconds or needs a database.
func skipIfShort(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("with -short")
	}
}
