package importer_test

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"dixa-import/dixa/sandbox"
)

// tap intercepts requests to the sandbox; serve forwards one.
type tap func(op sandbox.Operation, rw http.ResponseWriter, serve func(http.ResponseWriter))

// operationOf returns the operation of a request.
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

// onNth handles the n-th request of an operation with do, and all others with the sandbox.
func (w *world) onNth(op sandbox.Operation, n int64, do func(rw http.ResponseWriter, serve func(http.ResponseWriter))) {
	var count atomic.Int64
	f := tap(func(got sandbox.Operation, rw http.ResponseWriter, serve func(http.ResponseWriter)) {
		if got == op && count.Add(1) == n {
			do(rw, serve)
			return
		}
		serve(rw)
	})
	w.tap.Store(&f)
}

// hookedWriter calls before when an answer is about to leave, after the request took effect.
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
