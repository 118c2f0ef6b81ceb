package dixa

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestPagesAreFollowed(t *testing.T) {
	t.Parallel()
	const first = "/gateway/v1/endusers/u/conversations"
	tests := map[string]struct {
		next func(host string) string // what the first page names
		want string                   // what is asked next; "" for an error
		err  string
	}{
		"relative to the host":    {func(string) string { return "/next/c?pageKey=a%2Bb%3D" }, "/next/c?pageKey=a%2Bb%3D", ""},
		"without a slash":         {func(string) string { return "next/c?pageKey=x" }, "/next/c?pageKey=x", ""},
		"absolute":                {func(h string) string { return "http://" + h + "/next/c" }, "/next/c", ""},
		"query alone":             {func(string) string { return "?pageKey=x" }, first + "?pageKey=x", ""},
		"another host":            {func(string) string { return "http://evil.example/next" }, "", "another host"},
		"another host, no scheme": {func(string) string { return "//evil.example/next" }, "", "another host"},
		"another port":            {func(string) string { return "http://127.0.0.1:1/next" }, "", "another host"},
		"another scheme":          {func(h string) string { return "https://" + h + "/next" }, "", "another host"},
		"with a user":             {func(h string) string { return "http://a:b@" + h + "/next" }, "", "another host"},
		"unreadable":              {func(string) string { return ":" + testEmail }, "", "unreadable"},
		"the same again":          {func(string) string { return first + "#x" }, "", "came before"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, rec := setup(t, func(w http.ResponseWriter, r *http.Request, n int) {
				next := test.next(r.Host)
				if n > 1 {
					next = ""
				}
				reply(w, 200, fmt.Sprintf(`{"data":[{"id":%d}],"meta":{"previous":null,"next":%q}}`, n, next))
			})
			got, err := c.ListConversations(t.Context(), "u")
			if test.err != "" {
				var answer *AnswerError
				if !errors.As(err, &answer) || !strings.Contains(err.Error(), test.err) || got != nil || len(rec.all()) != 1 {
					t.Errorf("%v %v, %d requests", got, err, len(rec.all()))
				}
				noSecrets(t, err)
				return
			}
			if err != nil || len(got) != 2 || got[1].ID != 2 {
				t.Fatalf("%+v %v", got, err)
			}
			if uri := rec.all()[1].uri; uri != test.want {
				t.Errorf("the second page is %s, want %s", uri, test.want)
			}
		})
	}
}

func TestPagesEndWhereTheReaderEnds(t *testing.T) {
	t.Parallel()
	c, rec := setup(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		if n == 3 {
			reply(w, 404, `{"message":"gone"}`)
			return
		}
		reply(w, 200, fmt.Sprintf(`{"data":[{"id":"%d"}],"meta":{"next":"/next/%d"}}`, n, n))
	})
	for page, err := range c.ListEndUsers(t.Context(), 1) {
		if err != nil || page[0].ID != "1" {
			t.Errorf("%v %v", page, err)
		}
		break
	}
	if n := len(rec.all()); n != 1 {
		t.Errorf("%d requests after the first page", n)
	}
	var last error
	for _, err := range c.ListEndUsers(t.Context(), 1) {
		last = err
	}
	if api, ok := errors.AsType[*APIError](last); !ok || api.Status != 404 || len(rec.all()) != 3 {
		t.Errorf("%v, %d requests", last, len(rec.all()))
	}
}
