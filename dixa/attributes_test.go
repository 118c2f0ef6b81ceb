package dixa

import (
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAttributes(t *testing.T) {
	t.Parallel()
	c, rec := answering(t, 200, `{"data":[
		{"id":"t","entityType":"Conversation","identifier":"parcel_id","label":"Parcel ID","inputDefinition":{"placeholder":"1234","_type":"Text"},
		 "createdAt":"2023-01-01T08:23:54.246Z[GMT]","isRequired":false,"isArchived":false,"isDeactivated":true},
		{"id":"s","entityType":"Contact","identifier":"reason","label":"Reason","isRequired":true,"isArchived":true,"isDeactivated":false,
		 "inputDefinition":{"_type":"Select","options":[{"id":"1","label":"Payment","value":"payment","isDeactivated":false,"orderIndex":1,
		  "nestedOptions":[{"label":"Card","value":"card","isDeactivated":true,"nestedOptions":[]}]},{"label":"Access","value":"access","nestedOptions":null}]}},
		{"id":"n","inputDefinition":{"_type":"Number","options":"none"}},{"id":"x","inputDefinition":null}]}`)
	got, err := c.ListAttributes(t.Context())
	want := []AttributeDefinition{
		{ID: "t", EntityType: EntityConversation, Identifier: "parcel_id", Label: "Parcel ID", Type: AttributeText, Deactivated: true},
		{ID: "s", EntityType: "Contact", Identifier: "reason", Label: "Reason", Type: AttributeSelect, Required: true, Archived: true,
			Options: []Option{{Value: "payment", Label: "Payment", Nested: []Option{{Value: "card", Label: "Card", Deactivated: true, Nested: []Option{}}}},
				{Value: "access", Label: "Access"}}},
		{ID: "n", Type: "Number"}, {ID: "x"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	err = c.PatchAttributes(t.Context(), 7, map[string]AttributeValue{"a": {Text: "<1>"}, "b": {List: []string{"payment", "card"}}, "c": {List: []string{}}})
	if body := rec.all()[1].body; err != nil || body != `{"a":"<1>","b":["payment","card"],"c":[]}` {
		t.Errorf("%v, sent %s", err, body)
	}
	c, _ = answering(t, 204, "")
	if err := c.PatchAttributes(t.Context(), 7, map[string]AttributeValue{"a": {}}); err != nil {
		t.Errorf("an answer without a body: %v", err)
	}
}

func TestAPageDoesNotPassForAPatch(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body string
		good bool
	}{
		"nothing":        {"", true},
		"white space":    {"\r\n", true},
		"the attributes": {`{"data":[{"id":"a"}]}`, true},
		"other JSON":     {`null`, true},
		"captive portal": {"<html>" + testEmail, false},
		"cut off":        {`{"data":[{"email":"` + testEmail, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, rec := setup(t, func(w http.ResponseWriter, _ *http.Request, n int) {
				if n < 3 {
					reply(w, 200, test.body)
					return
				}
				reply(w, 200, `{"data":[]}`)
			}, func(cfg *Config) { cfg.MaxAttempts = 2 })
			err := kinds["patch"].call(t.Context(), c)
			if test.good {
				if err != nil || len(rec.all()) != 1 {
					t.Errorf("error %v after %d requests", err, len(rec.all()))
				}
				return
			}
			answer, ok := errors.AsType[*AnswerError](err)
			if !ok || answer.Status != 200 || NotApplied(err) || !Transient(err) || len(rec.all()) != 2 {
				t.Fatalf("error %v after %d requests", err, len(rec.all()))
			}
			noSecrets(t, err)
			if err := kinds["patch"].call(t.Context(), c); err != nil {
				t.Error(err)
			}
		})
	}
}
