package people

import (
	"fmt"
	"slices"
	"testing"

	"dixa-import/importer/checkpoint"
	"dixa-import/source"
)

func survey(people ...source.EndUser) *Survey {
	s := NewSurvey(newTestMatcher(nil))
	for i, u := range people {
		s.Add(&source.Transcript{ID: fmt.Sprint(i), EndUser: u}, fmt.Sprintf("a.jsonl:%d", i+1))
	}
	return s
}

func repeat(n int, user func(i int) source.EndUser) (people []source.EndUser) {
	for i := range n {
		people = append(people, user(i))
	}
	return people
}

func TestSurveyFindsSharedIdentifiers(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		people []source.EndUser
		want   []SharedIdentifier
	}{
		{"a phone with many names", repeat(6, func(i int) source.EndUser {
			return source.EndUser{Phone: "+4512345678", Name: fmt.Sprint("Name ", i)}
		}), []SharedIdentifier{{checkpoint.Phone, "a.jsonl:5", "name"}}},
		{"an address with many ids", repeat(9, func(i int) source.EndUser {
			return source.EndUser{ExternalID: fmt.Sprint("c-", i), Email: "kiosk@shop.example"}
		}), []SharedIdentifier{{checkpoint.Email, "a.jsonl:5", "external_id"}}},
		{"an id with many addresses", repeat(5, func(i int) source.EndUser {
			return source.EndUser{ExternalID: "webchat-7", Email: fmt.Sprintf("p%d@example.org", i)}
		}), []SharedIdentifier{{checkpoint.ExternalID, "a.jsonl:5", "email"}}},
		{"a family", repeat(4, func(i int) source.EndUser {
			return source.EndUser{ExternalID: fmt.Sprint("c-", i), Phone: "+4512345678", Name: fmt.Sprint(i)}
		}), nil},
		{"one person in different spellings", repeat(9, func(i int) source.EndUser {
			return source.EndUser{Email: "ann@example.org", Name: []string{"Ann Lee", "ANN LEE", "ann  lee"}[i%3]}
		}), nil},
		{"a placeholder", repeat(9, func(i int) source.EndUser {
			return source.EndUser{ExternalID: "undefined", Email: fmt.Sprintf("p%d@example.org", i)}
		}), nil},
	} {
		if got := survey(tc.people...).Shared; !slices.Equal(got, tc.want) {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

// TestSurveyMemoryIsBounded: a shared identifier is found among 300,000 distinct ones, in bounded memory.
func TestSurveyMemoryIsBounded(t *testing.T) {
	t.Parallel()
	m := newTestMatcher(nil)
	s := NewSurvey(m)
	for i := range 300_000 {
		p := Person{IDs: []checkpoint.Identifier{{Kind: checkpoint.ExternalID, Value: fmt.Sprint("c-", i)}}, Name: fmt.Sprint(i)}
		if i%1000 == 0 {
			p.IDs = append(p.IDs, checkpoint.Identifier{Kind: checkpoint.Phone, Value: "+4512345678"})
		}
		s.AddPerson(p, "a.jsonl:1")
	}
	if want := []SharedIdentifier{{checkpoint.Phone, "a.jsonl:1", "name"}}; !slices.Equal(s.Shared, want) {
		t.Errorf("%+v, want %+v", s.Shared, want)
	}
	if len(s.seen) > maxSurvey {
		t.Errorf("the survey keeps %d identifiers", len(s.seen))
	}
}
