package source

import (
	"maps"
	"slices"

	"dixa-import/source/internal/jq"
)

// record makes a record of what the program returned. closing sets closed_at of a transcript that has none; wrote is when its last message was written.
// _open and _closed say that a transcript is open whatever the rule, or closed at its last message.
func (m *mapRun) record(place Place, hash Hash, result any, closing func(t map[string]any, wrote int64) *RejectError) *Record {
	m.add(func(c *MappingCounts) { c.Transcripts++ })
	r := &Record{Place: place, Hash: hash}
	t, ok := result.(map[string]any)
	if !ok {
		r.failure = reject(RejectTransformFailed, "%s returned something that is not an object: return a transcript with id, messages and closed_at, or empty", m.program())
		return r
	}
	t = maps.Clone(t)
	if t["messages"] == nil && t["closed_at"] == nil {
		r.failure = reject(RejectTransformFailed, "%s returned an object without an array of messages: return a transcript with id, messages and closed_at, or empty", m.program())
		return r
	}
	if messages, ok := t["messages"].([]any); ok {
		t["messages"] = m.sent(messages)
	}
	open, closed := t["_open"] == true, t["_closed"] == true
	delete(t, "_open")
	delete(t, "_closed")
	if closed {
		closing = m.closeAt
	}
	if t["closed_at"] == nil && !open {
		if failure := closing(t, m.wrote(t)); failure != nil {
			r.failure = failure
		}
	}
	raw, err := jq.Marshal(t)
	if err != nil {
		r.failure = reject(RejectTransformFailed, "%s returned a value that is not JSON: correct the program", m.program())
		return r
	}
	if r.raw = raw; len(raw) > maxLine {
		r.raw, r.failure = nil, tooLong()
	}
	if r.failure == nil {
		s := outlineOf(raw)
		r.ID, r.Open, r.decode = s.id, s.open, m.JSONL.decode
	}
	return r
}

// sent returns the messages without those that are only counted.
func (m *mapRun) sent(messages []any) []any {
	out := make([]any, 0, len(messages))
	for _, v := range messages {
		if !m.dropped(v) {
			out = append(out, v)
		}
	}
	return out
}

// dropped reports whether a value stands for something that is not sent, and counts it.
func (m *mapRun) dropped(v any) bool {
	object, _ := v.(map[string]any)
	kind, drop := object["_drop"].(string)
	if drop {
		m.add(func(c *MappingCounts) { c.Dropped[kind]++ })
	}
	return drop
}

// wrote returns the time of the last message, noTime if none has one.
func (m *mapRun) wrote(t map[string]any) int64 {
	latest := noTime
	messages, _ := t["messages"].([]any)
	for _, v := range messages {
		if message, ok := v.(map[string]any); ok {
			latest = max(latest, m.millis(message["created_at"]))
		}
	}
	if latest == noTime {
		latest = m.millis(t["created_at"])
	}
	return latest
}

// close sets closed_at by the rule of the mapping.
func (m *mapRun) close(t map[string]any, wrote int64) *RejectError {
	switch rule := m.mapper.closed; rule.Rule {
	case ClosedByFile:
		return m.closeAt(t, wrote)
	case ClosedIdle:
		if wrote == noTime || m.latest != noTime && m.latest-wrote >= rule.Idle.Milliseconds() {
			return m.closeAt(t, wrote)
		}
	}
	return nil
}

func (m *mapRun) closeAt(t map[string]any, millis int64) *RejectError {
	messages, ok := t["messages"].([]any)
	timed := func(v any) bool { m, _ := v.(map[string]any); return m["created_at"] != nil }
	if millis == noTime && ok && (len(messages) == 0 || t["created_at"] != nil || slices.ContainsFunc(messages, timed)) {
		millis = 0 // nobody wrote, so it is skipped as empty; or the times are wrong, so it is rejected with their place
	}
	if millis == noTime {
		cure := "have the transform set closed_at"
		if m.mapper.preset {
			cure = "export the chat with its times, or leave it out"
		}
		return reject(RejectInvalidTime, "neither the chat nor any of its messages has a time, so it is not known when it was closed: %s", cure)
	}
	t["closed_at"] = timeOf(millis).Format("2006-01-02T15:04:05.000Z")
	return nil
}

// program is what a program is called whose failure rejects a record.
func (m *mapRun) program() string {
	if m.mapper.preset {
		return "the format"
	}
	return "the transform"
}
