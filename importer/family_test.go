package importer_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"dixa-import/dixa/sandbox"
	"dixa-import/importer"
	"dixa-import/importer/checkpoint"
)

// families are groups of three people who share an identifier.
var families = map[string][]fields{
	"a phone": {
		{"external_id": "c-1", "email": "ann@example.org", "phone": "+4512345678", "name": "Ann"},
		{"external_id": "c-2", "phone": "12 34 56 78", "name": "Bob"},
		{"external_id": "c-3", "email": "cat@example.org", "phone": "0045 12345678", "name": "Cat"},
	},
	"an address": {
		{"external_id": "c-1", "email": "info@shop.example", "name": "Ann"},
		{"external_id": "c-2", "email": "INFO@shop.example", "phone": "+4512345678", "name": "Bob"},
		{"external_id": "c-3", "email": "Cat <info@shop.example>", "name": "Cat"},
	},
	"a phone without ids": {
		{"email": "ann@example.org", "phone": "+4512345678", "name": "Ann"},
		{"email": "bob@example.org", "phone": "+4512345678", "name": "Bob"},
		{"email": "cat@example.org", "phone": "whatsapp:+4512345678", "name": "Cat"},
	},
	"an address and a phone": {
		{"external_id": "c-1", "email": "ann@example.org", "name": "Ann"},
		{"external_id": "c-2", "email": "ann@example.org", "phone": "+4512345678", "name": "Bob"},
		{"external_id": "c-3", "phone": "+4512345678", "name": "Cat"},
	},
}

var turns = [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}

// someTurns are all orders, and with -short two.
func someTurns() [][]int {
	if testing.Short() {
		return [][]int{turns[0], turns[5]}
	}
	return turns
}

// familyChats returns two transcripts of each member: first one of each, then a second one of each.
func familyChats(members []fields, order []int) (lines []string) {
	for _, round := range []string{"first", "second"} {
		for _, n := range order {
			lines = append(lines, chat(fmt.Sprintf("%s-%d", round, n), fields{"end_user": members[n]}))
		}
	}
	return lines
}

// wantFamily checks that there are three end-users, each with the two transcripts of one member, and that only transcripts whose end-user
// was created without an identifier report that.
func (w *world) wantFamily(created bool) {
	w.Helper()
	names := map[string]string{}
	for _, u := range w.api.EndUsers() {
		names[u.ID] = u.DisplayName
	}
	seen, noted := map[string]bool{}, 0
	for n := range 3 {
		first, second := w.row(fmt.Sprintf("first-%d", n)), w.row(fmt.Sprintf("second-%d", n))
		if first.EndUserID == "" || first.EndUserID != second.EndUserID || seen[first.EndUserID] {
			w.Errorf("the transcripts of member %d have the end-users %s (%s) and %s (%s)", n, first.EndUserID, names[first.EndUserID], second.EndUserID, names[second.EndUserID])
		}
		seen[first.EndUserID] = true
		noted += len(w.partialErrors(fmt.Sprintf("first-%d", n))) + len(w.partialErrors(fmt.Sprintf("second-%d", n)))
	}
	if n := len(w.api.EndUsers()); n != 3 {
		w.Errorf("Dixa has %d end-users, want 3: %v", n, names)
	}
	if created && noted == 0 || noted > 3 {
		w.Errorf("%d partial errors say that an end-user lacks an identifier", noted)
	}
	if list := w.api.Duplicates(); len(list) != 0 {
		w.Errorf("duplicates: %v", list)
	}
}

// TestSharedIdentifiersDoNotMergePeople requires that people who share a weaker identifier get an end-user each, in any order, in one run
// and in several.
func TestSharedIdentifiersDoNotMergePeople(t *testing.T) {
	t.Parallel()
	for _, store := range storesFor(!testing.Short()) {
		for name, members := range families {
			for _, order := range someTurns() {
				for _, how := range []string{"together", "one by one", "preloaded"} {
					if store == "postgres" && !slices.Equal(order, turns[0]) && !slices.Equal(order, turns[5]) {
						continue
					}
					t.Run(fmt.Sprint(store, " ", name, " ", order, " ", how), func(t *testing.T) {
						t.Parallel()
						w := setup(t, store, sandbox.Options{UniqueExternalID: true})
						lines := familyChats(members, order)
						switch how {
						case "together":
							w.mustRun(importer.OutcomeOK, w.jsonl(w.file("f.jsonl", lines...)), nil)
						case "preloaded":
							w.mustRun(importer.OutcomeOK, w.jsonl(w.file("f.jsonl", lines...)), func(c *importer.Config) { c.Preload = true })
						default:
							for i, line := range lines {
								w.mustRun(importer.OutcomeOK, w.jsonl(w.file(fmt.Sprint(i, ".jsonl"), line)), nil)
							}
						}
						w.wantFamily(true)
					})
				}
			}
		}
	}
}

// TestSharedIdentifiersOfExistingEndUsers has one of the people in Dixa. The checkpoint knows none of them, or the owner of some
// identifiers.
func TestSharedIdentifiersOfExistingEndUsers(t *testing.T) {
	t.Parallel()
	ann := sandbox.EndUser{ExternalID: "c-1", Email: "ann@example.org", PhoneNumber: "+4512345678", DisplayName: "Ann"}
	for name, knows := range map[string][]checkpoint.Identifier{
		"nothing":              nil,
		"the phone":            {{Kind: checkpoint.Phone, Value: "+4512345678"}},
		"the phone and the id": {{Kind: checkpoint.Phone, Value: "+4512345678"}, {Kind: checkpoint.ExternalID, Value: "c-1"}},
	} {
		for _, how := range []string{"", "preloaded", "may not read one"} {
			for _, order := range turns[2:5] {
				if testing.Short() && !slices.Equal(order, turns[4]) {
					continue
				}
				t.Run(fmt.Sprint(name, " ", how, " ", order), func(t *testing.T) {
					t.Parallel()
					opts := sandbox.Options{UniqueExternalID: true}
					if how == "may not read one" {
						opts.Forbidden = map[sandbox.Operation]int{sandbox.GetEndUser: http.StatusForbidden}
					}
					w := setup(t, "sqlite", opts)
					id := w.api.AddEndUser(ann)
					w.saveEndUser(id, knows...)
					w.mustRun(importer.OutcomeOK, w.jsonl(w.file("f.jsonl", familyChats(families["a phone"], order)...)), func(c *importer.Config) { c.Preload = how == "preloaded" })
					w.wantFamily(true)
					if got := w.row("first-0").EndUserID; got != id {
						t.Errorf("the end-user of Ann is %s, want %s", got, id)
					}
				})
			}
		}
	}
}

// saveEndUser stores the identifiers of an end-user in the checkpoint.
func (w *world) saveEndUser(id string, identifiers ...checkpoint.Identifier) {
	w.Helper()
	s := w.open()
	defer func() { _ = s.Close() }()
	if err := s.SaveEndUsers(context.Background(), sandbox.DefaultOrganizationID, []checkpoint.EndUser{{ID: id, Identifiers: identifiers}}); err != nil {
		w.Fatal(err)
	}
}

// TestSharedIdentifierAlone has an end-user with only a phone number. It belongs to the first person with that number and a stronger
// identifier, and to nobody after that.
func TestSharedIdentifierAlone(t *testing.T) {
	t.Parallel()
	for _, preload := range []bool{false, true} {
		t.Run(fmt.Sprint(preload), func(t *testing.T) {
			t.Parallel()
			w := setup(t, "sqlite", sandbox.Options{})
			id := w.api.AddEndUser(sandbox.EndUser{PhoneNumber: "+4512345678", ExternalID: "undefined"})
			for i, end := range []fields{{"external_id": "c-1", "phone": "+4512345678"}, {"external_id": "c-2", "phone": "+4512345678"}, {"external_id": "c-1"}, {"phone": "+4512345678"}} {
				w.mustRun(importer.OutcomeOK, w.jsonl(w.file("f.jsonl", chat(fmt.Sprint("t-", i), fields{"end_user": end}))), func(c *importer.Config) { c.Preload = preload })
			}
			for i, want := range []bool{true, false, true, true} {
				if got := w.row(fmt.Sprint("t-", i)).EndUserID; (got == id) != want {
					t.Errorf("transcript t-%d has the end-user %s, the one with the phone is %s", i, got, id)
				}
			}
			if n := len(w.api.EndUsers()); n != 2 {
				t.Errorf("Dixa has %d end-users, want 2", n)
			}
		})
	}
}

// TestRefusedSharedIdentifierIsLeftOut has an identifier that is not looked up and that belongs to another end-user.
func TestRefusedSharedIdentifierIsLeftOut(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store string) {
		w := setup(t, store, sandbox.Options{})
		const n = 20
		var lines []string
		for i := range n {
			w.api.AddEndUser(sandbox.EndUser{ExternalID: fmt.Sprint("old-", i), Email: fmt.Sprintf("p%d@example.org", i)})
			lines = append(lines, chat(fmt.Sprint("t-", i), fields{"end_user": fields{"external_id": fmt.Sprint("c-", i), "email": fmt.Sprintf("p%d@example.org", i)}}))
		}
		s := w.mustRun(importer.OutcomeOK, w.jsonl(w.file("f.jsonl", lines...)), func(c *importer.Config) {
			c.Match = []checkpoint.IdentifierKind{checkpoint.ExternalID}
		})
		if s.Counts.Partial != n || len(w.api.EndUsers()) != 2*n {
			t.Errorf("%+v; Dixa has %d end-users, want %d", s.Counts, len(w.api.EndUsers()), 2*n)
		}
		if p := w.partialErrors("t-0"); len(p) != 1 || p[0].Kind != checkpoint.KindOther || !strings.Contains(p[0].Message, "without the email address") || strings.Contains(p[0].Message, "p0") {
			t.Errorf("partial errors are %+v", p)
		}
	})
}

// TestIdentifierSharedByMany requires that people who share a number are created together. It is not parallel, because that depends on the
// load of the machine.
func TestIdentifierSharedByMany(t *testing.T) {
	if slow {
		t.Skip("how many are created together depends on the machine")
	}
	w := setup(t, "sqlite", sandbox.Options{UniqueExternalID: true})
	const n = 200
	var lines []string
	for i := range n {
		lines = append(lines, chat(fmt.Sprint("t-", i), fields{"end_user": fields{"external_id": fmt.Sprint("c-", i), "phone": "+4512345678"}}))
	}
	s := w.mustRun(importer.OutcomeOK, w.jsonl(w.file("f.jsonl", lines...)), nil)
	counts := w.api.Counts()
	if made := counts[sandbox.CreateEndUser] + counts[sandbox.CreateEndUsers]; made > n/4 || len(w.api.EndUsers()) != n {
		t.Errorf("%d requests created %d end-users", made, len(w.api.EndUsers()))
	}
	if each := float64(s.Counts.Requests) / n; each > 2.3 {
		t.Errorf("%.3f requests per transcript: %v", each, counts)
	}
}

// TestPlanCountsPeopleWithSharedIdentifiers requires that a plan counts as many people as the run creates.
func TestPlanCountsPeopleWithSharedIdentifiers(t *testing.T) {
	t.Parallel()
	for name, members := range families {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, order := range someTurns() {
				w := setup(t, "sqlite", sandbox.Options{})
				path := w.file("f.jsonl", familyChats(members, order)...)
				if people := w.mustPlan(w.jsonl(path), nil).People; people.Unknown != 3 || people.Known != 0 {
					t.Errorf("%v: %+v", order, people)
				}
				w.mustRun(importer.OutcomeOK, w.jsonl(path), nil)
				if people := w.mustPlan(w.jsonl(path), func(c *importer.Config) { c.Source = "other" }).People; people.Known != 3 || people.Unknown != 0 {
					t.Errorf("%v, known: %+v", order, people)
				}
			}
		})
	}
}

// TestReconcileOfPeopleMergedByEarlierVersions requires that conversations are found which an earlier version imported under another
// member's end-user.
func TestReconcileOfPeopleMergedByEarlierVersions(t *testing.T) {
	t.Parallel()
	w := setup(t, "sqlite", sandbox.Options{})
	mixed := []fields{families["a phone"][0], {"external_id": "c-1", "name": "Bob"}, {"external_id": "c-1", "name": "Cat"}}
	w.mustRun(importer.OutcomeOK, w.jsonl(w.file("old.jsonl", familyChats(mixed, turns[0])...)), nil)
	w.url = setup(t, "sqlite", sandbox.Options{}).url
	s := w.mustRun(importer.OutcomeOK, w.jsonl(w.file("new.jsonl", familyChats(families["a phone"], turns[0])...)), func(c *importer.Config) { c.Reconcile = true })
	if list := w.api.Duplicates(); len(list) != 0 || len(w.api.Conversations()) != 6 {
		t.Errorf("%+v; Dixa has %d conversations, duplicates: %v", s.Counts, len(w.api.Conversations()), list)
	}
}
