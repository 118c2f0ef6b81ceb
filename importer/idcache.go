package importer

import "dixa-import/importer/checkpoint"

// idCache remembers end-users in two generations, so that it is bounded and keeps what is used.
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
