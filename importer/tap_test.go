package importer_test

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"dixa-import/dixa/sandbox"
)

// tap stands between a client and the sandbox, which serve asks.
type tap func(op sandbox.Operation, rw http.ResponseWriter, serve func(http.ResponseWriter))

// operationOf names a request of an import.
func operationOf(r *http.Request) sandbox.Operation {
	switch path := strings.TrimPrefix(r.URL.Path, "/v1"); {
	case r.Method == http.MethodPatch:
		return sandbox.PatchAttributes
	case path == "/conversations/import":
		return sandbox.Import
	case path == "/endusers" && r.Method == http.MethodPost:
		return sandbox.CreateEndUser
	case path == "/endusers/bulk":
		return sandbox.CreateEndUsers
	case path == "/endusers":
		return sandbox.FindEndUsers
	case path == "/organization":
		return sandbox.GetOrganization
	case path == "/custom-attributes":
		return sandbox.ListAttributes
	case strings.HasSuffix(path, "/conversations"):
		return sandbox.ListConversations
	case strings.HasSuffix(path, "/messages"):
		return sandbox.ListMessages
	case strings.HasPrefix(path, "/conversations/"):
		return sandbox.GetConversation
	}
	return sandbox.Unknown
}

// onNth has the n-th request of an operation handled by do, and all others by the sandbox.
func (w *world) onNth(op sandbox.Operation, n int64, do func(rw http.ResponseWriter, serve func(http.ResponseWriter))) {
	var met atomic.Int64
	f := tap(func(got sandbox.Operation, rw http.ResponseWriter, serve func(http.ResponseWriter)) {
		if got == op && met.Add(1) == n {
			do(rw, serve)
			return
		}
		serve(rw)
	})
	w.tap.Store(&f)
}

// answering calls before when an answer is about to leave: what the request does, it has done by then.
type hookedWriter struct {
	http.ResponseWriter
	before func()
	once   sync.Once
}

func (a *hookedWriter) WriteHeader(status int) {
	a.once.Do(a.before)
	a.ResponseWriter.WriteHeader(status)
}

func (a *hookedWriter) Write(b []byte) (int, error) {
	a.once.Do(a.before)
	return a.ResponseWriter.Write(b)
}

func (a *hookedWriter) Unwrap() http.ResponseWriter { return a.ResponseWriter }
