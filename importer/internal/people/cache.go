package people

import (
	"sync"

	"dixa-import/importer/checkpoint"
)

// idCache maps identifiers to end-user ids. It has two generations, so that its size is bounded and entries in use stay. Resolver.mu guards
// it.
type idCache struct {
	young, old map[checkpoint.Identifier]string
}

// cacheGeneration is how many identifiers a generation holds; two generations take about 3 MiB.
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

// memo caches a value for each end-user id. The zero value is ready for use.
type memo[T any] struct {
	mu    sync.Mutex // guards known
	known map[string]T
}

// maxMemo is how many end-users a memo holds; it is emptied when it is full.
const maxMemo = 4 << 10

func (m *memo[T]) get(id string) (T, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.known[id]
	return v, ok
}

func (m *memo[T]) put(id string, v T) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil || len(m.known) >= maxMemo {
		m.known = map[string]T{}
	}
	m.known[id] = v
}

func (m *memo[T]) drop(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.known, id)
}
