package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestForgetPerson erases one of two persons, who each have transcripts with every status.
func TestForgetPerson(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		ctx := t.Context()
		run, dead := s.start(t), s.start(t)
		id := func(user string, status Status) string { return fmt.Sprintf("%s-%s", user, status) }
		users := []string{"gone", "stays"}
		for i, user := range users {
			for j, status := range Statuses {
				name := id(user, status)
				claim := s.claim(t, run, name, -1)
				for k, e := range paths[status] {
					c := change(name, claim, e)
					c.EndUserID = user
					if e == Found {
						c.ConversationID = int64(100*i + j + 1)
					}
					if k == len(paths[status])-1 && status == Partial {
						c.PartialErrors = []PartialError{{KindMessage, "hello ann", "x:1", ""}, {KindDuplicate, "7 and 8", "", ""}}
					}
					s.do(t, run, c)
				}
			}
		}
		save := func(organisation, user string, ids ...Identifier) {
			t.Helper()
			if err := s.SaveEndUsers(ctx, organisation, []EndUser{{ID: user, Identifiers: ids}}); err != nil {
				t.Fatal(err)
			}
		}
		anonymous := Identifier{ExternalID, bot + "/t-1"}
		save(org, "gone", Identifier{Email, "a"}, Identifier{Phone, "+1"}, Identifier{Email, "b"})
		save("o-2", "gone", anonymous)
		save(org, "stays", Identifier{Email, "c"}, Identifier{ExternalID, "a"})
		s.reserve(t, run, identifiers("living"))
		s.reserve(t, dead, identifiers("dead"))
		s.expire(t, dead)
		before := map[string]Row{}
		for _, user := range users {
			for _, status := range Statuses {
				before[id(user, status)] = s.row(t, id(user, status))
			}
		}

		asked := append(identifiers("a", "unknown", "living", "dead"), anonymous)
		found, theirs, err := s.FindPerson(ctx, asked)
		if err != nil || len(theirs) != len(Statuses)-1 { // the pending one has no end-user yet
			t.Fatalf("%d transcripts: %v", len(theirs), err)
		}
		equal(t, "found persons", found, []string{"gone"})
		for _, x := range theirs {
			row := before[x.ID]
			equal(t, x.ID, x, OfPerson{bot, row.ID, row.Status, row.ConversationID})
		}
		for _, want := range []struct {
			ids     []string
			removed int64
		}{{[]string{"gone"}, 5}, {nil, 0}} {
			ids, removed, err := s.ForgetPerson(ctx, asked)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "end-users", ids, want.ids)
			equal(t, "removed", removed, want.removed)
		}
		if ids, removed, err := s.ForgetPerson(ctx, nil); err != nil || len(ids) > 0 || removed > 0 {
			t.Errorf("no identifiers: %v, %d, %v", ids, removed, err)
		}
		if ids, theirs, err := s.FindPerson(ctx, asked); err != nil || len(ids) > 0 || len(theirs) > 0 {
			t.Errorf("found after being erased: %v, %v, %v", ids, theirs, err)
		}

		equal(t, "found", s.find(t, org, "a", "b", "c"), map[Identifier]string{{Email, "c"}: "stays"})
		var left int
		if err := s.db.QueryRowContext(ctx, "select count(*) from "+map[bool]string{true: "", false: "dixa_import."}[s.sqlite()]+"end_users").Scan(&left); err != nil {
			t.Fatal(err)
		}
		equal(t, "identifiers left: two of another person, and one that a run has reserved", left, 3)
		for name, row := range before {
			if row.EndUserID == "gone" && slices.Contains([]Status{Complete, Partial, Failed, Rejected, Skipped}, row.Status) {
				row.EndUserID, row.Error = "", ""
			}
			equal(t, name, s.row(t, name), row)
		}
		equal(t, "partial errors", s.partial(t, id("gone", Partial)), []PartialError{{KindMessage, "", "x:1", ""}, {KindDuplicate, "7 and 8", "", ""}})
		equal(t, "another person's message", s.partial(t, id("stays", Partial))[0].Message, "hello ann")
	})
}

// TestErasedPersonIsInNoFile: by default, SQLite leaves deleted data in its pages and its log.
func TestErasedPersonIsInNoFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "checkpoint.db")
	s := setup(t, "sqlite:"+path)
	const value = "somebody.to.be.forgotten@example.org"
	run := s.start(t)
	for i := range 500 { // rows before and after it, in mixed order, so that the row moves between pages
		ids := []Identifier{{Email, fmt.Sprintf("customer%d@example.org", i*7%500)}}
		if i == 25 {
			ids[0].Value = value
		}
		s.reserve(t, run, ids)
		if err := s.SaveEndUsers(t.Context(), org, []EndUser{{ID: fmt.Sprintf("u-%d", i), Identifiers: ids}}); err != nil {
			t.Fatal(err)
		}
	}
	filesWithValue := func() (files []string) {
		for _, name := range []string{path, path + "-wal"} {
			data, err := os.ReadFile(name)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			if bytes.Contains(data, []byte(value)) {
				files = append(files, filepath.Base(name))
			}
		}
		return files
	}
	if filesWithValue() == nil {
		t.Fatal("no file contains the value before it is erased")
	}
	if _, _, err := s.ForgetPerson(t.Context(), []Identifier{{Email, value}}); err != nil {
		t.Fatal(err)
	}
	if files := filesWithValue(); files != nil {
		t.Errorf("the erased value is still in %v", files)
	}
}
