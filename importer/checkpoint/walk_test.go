package checkpoint

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// edge is a transition from one status to another.
type edge struct {
	name     string
	from, to Status
	sends    bool // an import request is sent
	evidence bool
}

// edges returns the whole state machine.
func edges() []edge {
	var all []edge
	for _, t := range Transitions {
		for _, from := range t.From {
			to := t.To
			if to == "" {
				to = from
			}
			all = append(all, edge{string(t.Event), from, to, t.Event == Send || t.Event == SendAgain, t.Evidence != ""})
			if t.Event == Found { // another transcript has the conversation
				all = append(all, edge{"found elsewhere", from, InDoubt, false, false})
			}
		}
	}
	for _, c := range ClaimedAs {
		all = append(all, edge{"claim as " + string(c.As), c.From, c.As, false, c.Evidence != ""})
	}
	return all
}

// pathWithoutEvidence returns a path from one send to the next without evidence that the first one made no conversation, nil if there is
// none.
func pathWithoutEvidence(all []edge) []string {
	type point struct {
		status Status
		path   []string
	}
	for _, first := range all {
		if !first.sends {
			continue
		}
		seen, todo := map[Status]bool{first.to: true}, []point{{first.to, []string{first.name}}}
		for len(todo) > 0 {
			at := todo[0]
			todo = todo[1:]
			for _, e := range all {
				if e.from != at.status || e.evidence {
					continue
				}
				path := append(slices.Clone(at.path), e.name)
				if e.sends {
					return path
				}
				if !seen[e.to] {
					seen[e.to] = true
					todo = append(todo, point{e.to, path})
				}
			}
		}
	}
	return nil
}

// TestNoSecondSendWithoutEvidence walks all paths through the state machine. Each piece of evidence is needed: without it, there is a path
// from one send to the next without evidence.
func TestNoSecondSendWithoutEvidence(t *testing.T) {
	t.Parallel()
	all := edges()
	if path := pathWithoutEvidence(all); path != nil {
		t.Errorf("sent twice without evidence: %q", path)
	}
	tried := 0
	for i, e := range all {
		if !e.evidence || e.name == string(Fail) && e.from == Pending { // a pending transcript was not sent, or there was evidence
			continue
		}
		tried++
		without := slices.Clone(all)
		without[i].evidence = false
		if pathWithoutEvidence(without) == nil {
			t.Errorf("%s from %s has evidence that is not needed", e.name, e.from)
		}
	}
	if tried != 5 {
		t.Errorf("%d pieces of evidence were tried", tried)
	}
}

// TestClaimedAs claims transcripts with every status as every status.
func TestClaimedAs(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		run := s.start(t)
		for i, status := range Statuses {
			for j, as := range append([]Status{""}, Statuses...) {
				id := fmt.Sprintf("%s as %q", status, as)
				claim := put(t, s, run, id, status, int64(100*i+j+1))
				s.sql(t, "insert into dixa_import.partial_errors (source, transcript_id, ordinal, kind, message) values ($1, $2, 1, 'other', 'm')", bot, id)
				want, wantPartial := s.row(t, id), 1
				k := slices.IndexFunc(ClaimedAs, func(c Claiming) bool { return c.From == status && (c.As == as || as == "" && c.Default) })
				wantClaim := int64(0)
				if k >= 0 {
					wantClaim = claim + 1
					want.Status, want.Claim, want.ClaimedBy, want.Held = ClaimedAs[k].As, wantClaim, run, true
					if want.Status == Pending {
						want.ErrorCode, want.Error, want.Reason, want.ContentHash, want.ClosedAt = "", "", "", "new", t0.Add(time.Hour)
						wantPartial = 0
					}
				}
				request := ClaimRequest{ID: id, Seen: claim, SeenAt: s.row(t, id).UpdatedAt, As: as, ContentHash: "new", ClosedAt: t0.Add(time.Hour)}
				for range 2 { // the answer may be lost
					claims, err := s.Claim(t.Context(), bot, run, []ClaimRequest{request})
					if err != nil {
						t.Fatal(err)
					}
					equal(t, "claim of "+id, claims[0].Claim, wantClaim)
					equal(t, id, s.row(t, id), want)
				}
				equal(t, "partial errors of "+id, len(s.partial(t, id)), wantPartial)
			}
		}
		for as, want := range map[Status]int64{Pending: 1, Sending: 0, Imported: 0, Complete: 0} {
			claims, err := s.Claim(t.Context(), bot, run, []ClaimRequest{{ID: "new " + string(as), Seen: -1, As: as}})
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "claim of a new one as "+string(as), claims[0].Claim, want)
		}
	})
}

// TestRetryOfPartialAndInDoubt claims a partial transcript to set its attributes, and one in doubt to look for its conversation again.
func TestRetryOfPartialAndInDoubt(t *testing.T) {
	each(t, func(t *testing.T, s *fixture) {
		run := s.start(t)
		as := func(id string, seen int64, as Status) int64 {
			t.Helper()
			claims, err := s.Claim(t.Context(), bot, run, []ClaimRequest{{ID: id, Seen: seen, SeenAt: s.row(t, id).UpdatedAt, As: as}})
			if err != nil || claims[0].Claim == 0 {
				t.Fatal(claims, err)
			}
			return claims[0].Claim
		}
		claim := put(t, s, run, "a", Imported, 7)
		refused := change("a", claim, FinishPartial)
		refused.PartialErrors = []PartialError{{Kind: KindAttribute, Message: "m", Attribute: "x"}}
		s.do(t, run, refused)
		claim = as("a", claim, Imported)
		equal(t, "a send of an imported transcript", s.do(t, run, change("a", claim, Send)), []Result{{}})
		done := change("a", claim, Finish)
		done.PartialErrors = []PartialError{}
		equal(t, "finish", s.do(t, run, done), []Result{{Applied: true}})
		got := s.row(t, "a")
		equal(t, "conversation", got.ConversationID, int64(7))
		equal(t, "status", got.Status, Complete)

		claim = put(t, s, run, "b", InDoubt, 0)
		claim = as("b", claim, Sending)
		equal(t, "a send in doubt", s.do(t, run, Change{ID: "b", Claim: claim, Event: Send, Attempts: 2}), []Result{{}})
		found := change("b", claim, Found)
		found.ConversationID = 8
		equal(t, "found", s.do(t, run, found, change("b", claim, Finish)), []Result{{Applied: true}, {Applied: true}})
		equal(t, "status", s.row(t, "b").Status, Complete)
	})
}
