package people

import (
	"sync"

	"dixa-import/importer/checkpoint"
)

// idCache remembers whose identifiers are, in two generations, so that it is bounded and keeps what is used. Resolver.mu guards it.
type idCache struct {
	young, old map[checkpoint.Identifier]string
}

// cacheGeneration is how many identifiers a generation holds; two of them take about 3 MiB.
const cacheGeneration = 8 << 10

func (c *idCache) get(ident checkpoint.Identifier) string {
	if id := c.young[ident]; id != "" {
		return id
	}
	id := c.old[ident]
	if id != "" {
		c.put(ident, id)
	}
	return id
}

func (c *idCache) put(ident checkpoint.Identifier, id string) {
	if c.young == nil || len(c.young) >= cacheGeneration {
		c.young, c.old = make(map[checkpoint.Identifier]string), c.young
	}
	c.young[ident] = id
}

func (c *idCache) drop(id string) {
	for _, generation := range []map[checkpoint.Identifier]string{c.young, c.old} {
		for ident, owner := range generation {
			if owner == id {
				delete(generation, ident)
			}
		}
	}
}

// memo keeps something about end-users, at least about the last ones. The zero value is ready for use.
type memo[T any] struct {
	mu    sync.Mutex // guards known
	known map[string]T
}

// memoMost is how many end-users a memo holds; it starts again when it is full.
const memoMost = 4 << 10

func (m *memo[T]) get(id string) (T, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.known[id]
	return v, ok
}

func (m *memo[T]) put(id string, v T) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil || len(m.known) >= memoMost {
		m.known = map[string]T{}
	}
	m.known[id] = v
}

func (m *memo[T]) drop(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.known, id)
}
