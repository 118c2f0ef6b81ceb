package dixa

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestAnswersAreClassified(t *testing.T) {
	t.Parallel()
	quote := fmt.Sprintf(`{"message":"Invalid\n %s and %s"}`, testEmail, testPhone)
	tests := map[string]struct {
		status                int
		contentType, body     string
		transient, notApplied bool
		want                  string // end of the error's text
	}{
		"400":              {400, "application/json", quote, false, true, "Dixa answered 400: Invalid *** and ***"},
		"401":              {401, "application/json", `{"message":"nope"}`, false, true, "answered 401: nope"},
		"404":              {404, "application/json", `{"message":"The requested resource could not be found"}`, false, true, "not be found"},
		"408":              {408, "", "", true, false, "408 Request Timeout (text/plain)"},
		"413 html":         {413, "text/html; charset=utf-8", "<p>" + testEmail, false, true, "answered 413 Request Entity Too Large (text/html)"},
		"500":              {500, "application/json", `{"message":"There was an internal server error"}`, true, false, "internal server error"},
		"502 html":         {502, "text/html", "<html>" + testEmail, true, false, "answered 502 Bad Gateway (text/html)"},
		"503 empty":        {503, "application/json", "", true, false, "503 Service Unavailable (application/json)"},
		"599":              {599, "application/json", "{}", true, false, "answered 599 (application/json)"},
		"302":              {302, "text/html", testEmail, false, false, "302 Found (text/html), and redirects are not followed: check the base URL"},
		"huge":             {400, "application/json", `{"message":"` + strings.Repeat("x", maxErrorBody) + `"}`, false, true, "400 Bad Request (application/json)"},
		"message elsehow":  {400, "application/json", `{"message":{"email":"` + testEmail + `"}}`, false, true, "400 Bad Request (application/json)"},
		"odd content type": {400, `text/` + testEmail, `x`, false, true, "400 Bad Request"},
	}
	for name, test := range tests {
		for kind, k := range kinds {
			t.Run(name+" "+kind, func(t *testing.T) {
				t.Parallel()
				c, rec := setup(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
					if test.contentType != "" {
						w.Header().Set("Content-Type", test.contentType)
					} else {
						w.Header().Set("Content-Type", "text/plain")
					}
					w.Header().Set("Location", "/gateway/v1/organization?email="+testEmail)
					w.WriteHeader(test.status)
					_, _ = w.Write([]byte(test.body))
				}, func(cfg *Config) { cfg.MaxAttempts = 3 })
				err := k.call(t.Context(), c)
				var api *APIError
				if !errors.As(err, &api) || api.Status != test.status || !strings.HasSuffix(err.Error(), test.want) {
					t.Fatalf("error %v, want %d ending in %q", err, test.status, test.want)
				}
				noSecrets(t, err)
				if NotApplied(err) != test.notApplied || Transient(err) != test.transient {
					t.Errorf("not applied %v, transient %v", NotApplied(err), Transient(err))
				}
				want := 1
				if test.transient && k.idempotent {
					want = 3
				}
				if got := len(rec.all()); got != want {
					t.Errorf("%d requests, want %d", got, want)
				}
				if s := c.Stats(); s.Requests != int64(want) || s.Retries != int64(want-1) {
					t.Errorf("stats %+v", s)
				}
			})
		}
	}
}

func TestUnusableAnswers(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"html":       "<html>" + testEmail,
		"cut off":    `{"data":[{"id":"u","email":"` + testEmail,
		"empty":      "",
		"no data":    "{}",
		"null data":  `{"data":null}`,
		"other form": `{"data":"` + testPhone + `"}`,
		"a number":   `{"data":` + testPhone[1:] + `}`,
	} {
		for _, kind := range []string{"get", "create", "import"} {
			t.Run(name+" "+kind, func(t *testing.T) {
				t.Parallel()
				c, rec := setup(t, func(w http.ResponseWriter, _ *http.Request, _ int) { reply(w, 200, body) },
					func(cfg *Config) { cfg.MaxAttempts = 3 })
				err := kinds[kind].call(t.Context(), c)
				var answer *AnswerError
				if !errors.As(err, &answer) || answer.Status != 200 || NotApplied(err) || !Transient(err) {
					t.Fatalf("error %v", err)
				}
				noSecrets(t, err)
				if got := len(rec.all()); (got == 3) != kinds[kind].idempotent || (got != 1 && got != 3) {
					t.Errorf("%d requests", got)
				}
			})
		}
	}
}

func TestAHugeAnswerIsRefusedOnce(t *testing.T) {
	t.Parallel()
	chunk := bytes.Repeat([]byte(" "), 1<<20)
	c, rec := setup(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		for range maxAnswerBody>>20 + 2 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	_, err := c.ListQueues(t.Context())
	var answer *AnswerError
	if !errors.As(err, &answer) || !strings.Contains(err.Error(), "more than 64 MiB") || len(rec.all()) != 1 {
		t.Errorf("error %v after %d requests", err, len(rec.all()))
	}
}
