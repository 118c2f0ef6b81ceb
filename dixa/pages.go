package dixa

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"strings"
)

// page is one page of a list.
type page[T any] struct {
	items []T
	next  string
}

// readPage insists on the list: an answer without one must not pass for an empty one, upon which somebody is created
// or a conversation is imported again.
func readPage[T any](body []byte) (page[T], error) {
	var answer struct {
		Data *[]T `json:"data"`
		Meta struct {
			Next string `json:"next"`
		} `json:"meta"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return page[T]{}, err
	}
	if answer.Data == nil {
		return page[T]{}, errors.New("it has no data")
	}
	return page[T]{items: *answer.Data, next: answer.Meta.Next}, nil
}

// pages returns a list page by page, until the first error, following meta.next where there is one.
func pages[T any](ctx context.Context, c *Client, op Operation, path string, query url.Values) iter.Seq2[[]T, error] {
	return func(yield func([]T, error) bool) {
		seen := map[string]bool{}
		for target := c.url(path, query); target != ""; {
			seen[target] = true
			p, err := do(ctx, c, call[page[T]]{op: op, method: http.MethodGet, url: target, read: readPage[T]})
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(p.items, nil) {
				return
			}
			if target, err = c.nextPage(target, p.next); err == nil && seen[target] {
				err = errors.New("its next page is one that came before")
			}
			if err != nil {
				yield(nil, &AnswerError{Operation: op, Status: http.StatusOK, Err: err})
				return
			}
		}
	}
}

// collect gathers all pages, or returns the first error.
func collect[T any](all iter.Seq2[[]T, error]) ([]T, error) {
	var items []T
	for page, err := range all {
		if err != nil {
			return nil, err
		}
		items = append(items, page...)
	}
	return items, nil
}

// nextPage returns the address that meta.next stands for, "" after the last page. It is relative to the host, whatever
// path the base URL has, and must not lead to another host, which would be given the token.
func (c *Client) nextPage(current, next string) (string, error) {
	if next == "" {
		return "", nil
	}
	root := &url.URL{Scheme: c.base.Scheme, Host: c.base.Host, Path: "/"}
	if strings.HasPrefix(next, "?") {
		if here, err := url.Parse(current); err == nil {
			root = here
		}
	}
	ref, err := url.Parse(next)
	if err != nil {
		return "", errors.New("the address of its next page is unreadable")
	}
	target := root.ResolveReference(ref)
	if target.Scheme != c.base.Scheme || !strings.EqualFold(target.Host, c.base.Host) || target.User != nil {
		return "", errors.New("its next page is on another host")
	}
	target.Fragment, target.RawFragment = "", ""
	return target.String(), nil
}
