package sandbox

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// longImport is an import of nine messages.
func longImport() string {
	var messages []string
	for n := 1; n <= 9; n++ {
		kind, agent := "InboundImport", ""
		if n%2 == 0 {
			kind, agent = "OutboundImport", `"agentId":"`+DefaultAgentID+`",`
		}
		messages = append(messages, fmt.Sprintf(`{"_type":"%s",%s"content":{"_type":"Text","value":"%s"},"attachments":[],`+
			`"externalId":"bot/t-1:%d","createdAt":"2026-11-19T08:00:%02d.000Z"}`,
			kind, agent, strings.Repeat("Where is my \\\"order\\\"? ", 8), n, n))
	}
	body := importBody()
	start, end := strings.Index(body, `"messages": [`), strings.Index(body, `"assignment"`)
	return body[:start] + `"messages": [` + strings.Join(messages, ",") + "],\n" + body[end:]
}

func BenchmarkImport(b *testing.B) {
	s := setup(b, Options{})
	body := longImport()
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, "/v1/conversations/import", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+s.opts.Token)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != http.StatusCreated {
			b.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	noViolations(b, s)
}

func BenchmarkImportOverHTTP(b *testing.B) {
	s := setup(b, Options{})
	server := httptest.NewServer(s)
	defer server.Close()
	body := longImport()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r, _ := http.NewRequest(http.MethodPost, server.URL+"/v1/conversations/import", strings.NewReader(body))
			r.Header.Set("Authorization", "Bearer "+s.opts.Token)
			r.Header.Set("Content-Type", "application/json")
			res, err := server.Client().Do(r)
			if err != nil {
				b.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
		}
	})
}
