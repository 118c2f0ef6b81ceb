package source

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"dixa-import/source/internal/jq"
)

// A product's API hands out long lists a page at a time, and its lists of chats without all that was said. Half a chat that was imported could not be completed
// later, so such records are refused.

// listNames are the fields in which records of formats have the messages of a chat, or what stands for them.
var listNames = []string{"messages", "items", "conversation_parts", "parts", "logs", "turns", "interactions", "observations", "activities", "Transcript", "transcript", "entries", "dialog", "events"}

// moreFlags are fields that are true if a list goes on, nextFields have what to ask for the next page, and pageFields are objects in which these may be.
var (
	moreFlags  = []string{"has_more", "hasMore", "has_next", "hasNext", "has_next_page", "hasNextPage", "is_truncated", "isTruncated", "IsTruncated", "truncated"}
	nextFields = []string{"next", "next_page", "nextPage", "next_page_uri", "next_page_url", "nextPageUrl", "next_url", "nextUrl", "next_link", "nextLink", "@odata.nextLink", "next_token", "nextToken", "NextToken",
		"next_page_token", "nextPageToken", "next_cursor", "nextCursor"}
	pageFields = []string{"meta", "links", "_links", "link", "pagination", "paging", "pages", "page", "page_info", "pageInfo", "response_metadata"}
	countNames = []string{"total_count", "totalCount", "total_items", "totalItems", "total"}
)

// goesOn returns the field in which a record says that a list in it has more than is there, such as messages.has_more, and the name of the list; "" if there
// is none.
func goesOn(record any) (list, field string) {
	object, _ := record.(map[string]any)
	for _, name := range listNames {
		value, ok := object[name]
		if text, isText := value.(string); isText && strings.HasPrefix(strings.TrimSpace(text), "{") {
			value, _ = jq.Parse([]byte(text))
		}
		if envelope, is := value.(map[string]any); is {
			if field := marker(envelope, elementsOf(envelope, name), true); field != "" {
				return name, name + "." + field
			}
		}
		if all, is := value.([]any); ok && value != nil {
			n := -1
			if is {
				n = len(all)
			}
			if field := marker(object, n, false); field != "" {
				return name, field
			}
		}
	}
	return "", ""
}

// elementsOf returns how many elements the only array of an object, or that of a name, has; -1 if that cannot be told.
func elementsOf(envelope map[string]any, name string) int {
	if all, ok := envelope[name].([]any); ok {
		return len(all)
	}
	n := -1
	for _, value := range envelope {
		if all, ok := value.([]any); ok {
			if n >= 0 {
				return -1
			}
			n = len(all)
		}
	}
	return n
}

// marker returns the field in which an object says that there is more of its list, which has n elements, or -1 if that is not known. counts says that a
// number such as total counts that list.
func marker(object map[string]any, n int, counts bool) string {
	for _, name := range pageFields {
		inner := object[name]
		if all, ok := inner.([]any); ok && len(all) == 1 {
			inner = all[0]
		}
		if envelope, ok := inner.(map[string]any); ok {
			if rel, ok := envelope["rel"].(string); ok && strings.HasPrefix(rel, "next") {
				return name + ".rel"
			}
			if field := flagged(envelope, n); field != "" {
				return name + "." + field
			}
		}
	}
	if !counts {
		n = -1
	}
	return flagged(object, n)
}

func flagged(object map[string]any, n int) string {
	for _, name := range moreFlags {
		if v := object[name]; v == true || v == "true" {
			return name
		}
	}
	for _, name := range nextFields {
		switch v := object[name].(type) {
		case string:
			if text := strings.ToLower(strings.TrimSpace(v)); text != "" && text != "null" && text != "none" {
				return name
			}
		case json.Number:
			return name
		case map[string]any:
			if len(v) > 0 {
				return name
			}
		}
	}
	for _, name := range countNames {
		if total, ok := object[name].(json.Number); ok && n >= 0 {
			if total, err := total.Int64(); err == nil && total > int64(n) {
				return name
			}
		}
	}
	return ""
}

// cut returns why a record of a format cannot be imported, as it is not all there; nil if it is.
func cut(record any) *jq.Error {
	list, field := goesOn(record)
	if list == "" {
		return nil
	}
	return refused("its " + list + " are not all there, as " + field + " says: export all pages of them, put them into one list, and leave " + field + " out")
}

func refused(why string) *jq.Error { return &jq.Error{Message: why, Raised: jq.Refused + why} }

// maxWithin is how many objects of an array are looked at.
const maxWithin = 20

// within returns a value and the first objects in the arrays within it.
func within(value any) []any {
	var out []any
	var walk func(v any, depth int)
	walk = func(v any, depth int) {
		switch v := v.(type) {
		case map[string]any:
			out = append(out, v)
			if depth == 0 {
				return
			}
			for _, inner := range v {
				if _, object := inner.(map[string]any); object {
					walk(inner, depth-1)
				} else if all, array := inner.([]any); array {
					walk(all, depth-1)
				}
			}
		case []any:
			for _, e := range v[:min(len(v), maxWithin)] {
				walk(e, depth)
			}
		}
	}
	walk(value, 3)
	return out
}

// adviceOn returns what a format says of records that a product lists without what was said in them, "" if a value has none.
func adviceOn(ctx context.Context, program *jq.Program, value any, vars jq.Vars) string {
	if program == nil {
		return ""
	}
	for _, v := range within(value) {
		if advice, err := one(ctx, program, v, vars); err == nil {
			if text, ok := advice.(string); ok {
				return text
			}
		}
	}
	return ""
}

// run makes transcripts of a record, or of the records of a group.
func (m *mapRun) run(value any, place Place) ([]any, error) {
	results, err := m.mapper.transform.Run(m.ctx, value, m.vars(place))
	if err != nil {
		return nil, m.mapper.explained(m.ctx, err, value, m.vars(place))
	}
	if m.mapper.preset && !m.mapper.joinsPages {
		rows, group := value.([]any)
		if !group {
			rows = []any{value}
		}
		for _, row := range rows {
			if e := cut(row); e != nil {
				return nil, e
			}
		}
	}
	return results, m.leftOut(results)
}

// explained returns an error that says more where a record is none of a format because it is what the product's lists return.
func (m *mapper) explained(ctx context.Context, err error, value any, vars jq.Vars) error {
	e, ok := err.(*jq.Error) //nolint:errorlint // what a program raises is not wrapped
	if !ok || !strings.HasPrefix(e.Raised, jq.Foreign) {
		return err
	}
	if text := adviceOn(ctx, m.lists, value, vars); text != "" {
		return refused(text)
	}
	return err
}

// recognized returns why a record without what its format needs is none, if it is what the product's lists return; else nil.
func (m *mapRun) recognized(place Place, data []byte) *RejectError {
	if m.mapper.lists == nil {
		return nil
	}
	if value, err := jq.Parse(data); err == nil {
		if text := adviceOn(m.ctx, m.mapper.lists, value, m.vars(place)); text != "" {
			return reject(RejectRefused, "%s", text)
		}
	}
	return nil
}

// listedBy returns what the formats say of records that products list without what was said in them, "" if they know nothing of these.
func (s *JSONL) listedBy(ctx context.Context) string {
	var values []any
	_ = s.sample(ctx, &shape{}, func(f frame) {
		if len(values) < maxWithin && len(f.data) > 0 {
			if value, err := jq.Parse(f.data); err == nil {
				values = append(values, value)
			}
		}
	})
	for _, p := range presetList() {
		if p.Lists == "" {
			continue
		}
		functions, err := jq.Compile(p.Program, jq.Limits{})
		if err != nil {
			return ""
		}
		program, err := jq.Compile(p.Lists, jq.Limits{}, functions)
		if err != nil {
			return ""
		}
		for _, value := range values {
			if text := adviceOn(ctx, program, value, jq.Vars{}); text != "" {
				return text
			}
		}
	}
	return ""
}

// singleMessages returns the names of the fields by which records look like single messages, and the one that may say to which chat they belong.
func singleMessages(names map[string]bool) (fields []string, chat string) {
	first := func(names map[string]bool, of ...string) string {
		i := slices.IndexFunc(of, func(name string) bool { return names[name] })
		if i < 0 {
			return ""
		}
		return of[i]
	}
	plain := map[string]bool{}
	spelled := map[string]string{}
	for name := range names {
		plain[plainName(name)] = true
		spelled[plainName(name)] = name
	}
	role := first(plain, "role", "sender", "sendertype", "author", "authortype", "actortype", "from", "speaker", "direction", "participant", "messagetype", "usertype")
	text := first(plain, "text", "content", "body", "message", "parts", "messageparts", "payload", "utterance", "messagetext")
	if role == "" || text == "" || plain["messages"] {
		return nil, ""
	}
	chat = first(plain, "conversationid", "sessionid", "chatid", "threadid", "dialogid", "ticketid", "conversation", "session", "thread")
	return []string{spelled[role], spelled[text]}, spelled[chat]
}

// oneMessageEach says what to do with records that are single messages.
func oneMessageEach(fields []string, chat string) string {
	text := "; each looks like a single message, by " + strings.Join(fields, " and ") + ", and not like a whole chat: export chats with their messages, or put the messages of a chat together"
	if chat != "" {
		return text + " with source.transform and source.group_by: ." + chat
	}
	return text + ", for which each needs a field that says to which chat it belongs, such as conversation_id"
}
