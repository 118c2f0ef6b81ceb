package dixa

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestEndUsers(t *testing.T) {
	t.Parallel()
	c, rec := answering(t, 201, `{"data":{"id":"u","createdAt":"2020-12-16T09:41:43Z","displayName":null,"email":"a@b.c",
		"phoneNumber":"+45","additionalEmails":["x@y.z"],"additionalPhoneNumbers":null,"externalId":"#1","avatarUrl":"new","customAttributes":[{"id":1}]}}`)
	got, err := c.CreateEndUser(t.Context(), NewEndUser{DisplayName: "Ann <Lee>", ExternalID: "#1", AdditionalEmails: []string{"x@y.z"}}, nil)
	want := EndUser{ID: "u", CreatedAt: At(time.Date(2020, 12, 16, 9, 41, 43, 0, time.UTC)), Email: "a@b.c", PhoneNumber: "+45",
		AdditionalEmails: []string{"x@y.z"}, ExternalID: "#1"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	if body := rec.all()[0].body; body != `{"displayName":"Ann <Lee>","additionalEmails":["x@y.z"],"externalId":"#1"}` {
		t.Errorf("sent %s", body)
	}
}

func TestBulkCreation(t *testing.T) {
	t.Parallel()
	const failure = `{"error":{"id":"x","message":"Create EndUser [userId=` + userID + `] for ` + testEmail + ` failed with [errors=PhoneNumberExists]","_type":"Validation"},"_type":"BulkActionFailure"}`
	c, rec := answering(t, 201, `{"data":[{"data":{"id":"u"},"_type":"BulkActionSuccess"},`+failure+`,{"error":{"message":"down","_type":"Infrastructure"}}]}`)
	got, err := c.CreateEndUsers(t.Context(), []NewEndUser{{Email: "a"}, {Email: "b"}, {}}, nil)
	if err != nil || len(got) != 3 || got[0].EndUser.ID != "u" || got[0].Err != nil {
		t.Fatalf("%+v %v", got, err)
	}
	if e := got[1].Err; !AlreadyExists(e) || !NotApplied(e) || !strings.Contains(e.Message, userID) {
		t.Errorf("second: %v", e)
	}
	noSecrets(t, got[1].Err)
	if e := got[2].Err; AlreadyExists(e) || NotApplied(e) || AlreadyExists(got[0].Err) {
		t.Errorf("third: %v", e)
	}
	if body := rec.all()[0].body; body != `{"data":[{"email":"a"},{"email":"b"},{}]}` {
		t.Errorf("sent %s", body)
	}
	for _, body := range []string{`{"data":[]}`, `{"data":[{"data":{"id":"u"}},{"data":{"id":"v"}}]}`, `{"data":[{"_type":"BulkActionSuccess"}]}`, `{"data":[{"data":{}}]}`} {
		c, _ := answering(t, 201, body)
		_, err := c.CreateEndUsers(t.Context(), make([]NewEndUser, 1), nil)
		var answer *AnswerError
		if !errors.As(err, &answer) || NotApplied(err) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestAlreadyExists(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		op      Operation
		status  int
		message string
		want    bool
	}{
		{OpCreateEndUser, 400, "Validation failure during enduser creation", true},
		{OpCreateEndUser, 400, "Duplicate email address", true},
		{OpCreateEndUsers, 400, "failed with [errors=EmailExists,ExternalIdExists]", true},
		{OpCreateEndUsers, 409, "ExternalIdExists", true},
		{OpCreateEndUser, 400, "Decoding failure in request", false},
		{OpCreateEndUser, 400, "Invalid email", false},
		{OpCreateEndUser, 500, "EmailExists", false},
		{OpLookUpEndUser, 400, "Duplicate email address", false},
	} {
		if got := AlreadyExists(fmt.Errorf("x: %w", newAPIError(test.op, test.status, test.message, nil))); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
	if AlreadyExists(nil) || AlreadyExists(errors.New("EmailExists")) {
		t.Error("other errors say so")
	}
}
