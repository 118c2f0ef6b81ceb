package sandbox

import (
	"fmt"
	"strings"
	"testing"
)

func TestPatchAttributes(t *testing.T) {
	t.Parallel()
	set := func(id, value string) string { return fmt.Sprintf("{%q:%s}", id, value) }
	tests := []struct {
		name, body string
		status     int
		message    string
		violation  string
	}{
		{"text", set(OrderNumberID, `"1234"`), 200, "", ""},
		{"empty text", set(OrderNumberID, `""`), 200, "", ""},
		{"path", set(ContactReasonID, `["delivery","late"]`), 200, "", ""},
		{"beginning of a path", set(ContactReasonID, `["payment"]`), 200, "", ""},
		{"upper case UUID", set(strings.ToUpper(OrderNumberID), `"1"`), 200, "", ""},
		{"empty map", `{}`, 200, "", "empty"},
		{"unknown", set(otherAgent, `"1"`), 400, msgPatch, ""},
		{"archived", set(ArchivedID, `"1"`), 400, msgPatch, ""},
		{"of contacts", set(LocationID, `["denmark"]`), 400, msgPatch, ""},
		{"deactivated", set("00000000-0000-4000-8000-000000000001", `"1"`), 400, msgPatch, ""},
		{"of a later type", set("00000000-0000-4000-8000-000000000002", `"1"`), 400, msgPatch, ""},
		{"string for a Select", set(ContactReasonID, `"payment"`), 400, msgPatch, ""},
		{"array for a Text", set(OrderNumberID, `["1"]`), 400, msgPatch, ""},
		{"no option", set(ContactReasonID, `["weather"]`), 400, msgPatch, ""},
		{"label for value", set(ContactReasonID, `["Payment"]`), 400, msgPatch, ""},
		{"not from the top", set(ContactReasonID, `["card"]`), 400, msgPatch, ""},
		{"wrong branch", set(ContactReasonID, `["access","card"]`), 400, msgPatch, ""},
		{"deactivated option", set(ContactReasonID, `["delivery","lost"]`), 400, msgPatch, ""},
		{"too deep", set(ContactReasonID, `["payment","card","visa"]`), 400, msgPatch, ""},
		{"empty path", set(ContactReasonID, `[]`), 400, msgPatch, ""},
		{"one of two", `{"` + OrderNumberID + `":"1","` + otherAgent + `":"1"}`, 400, msgPatch, ""},
		{"null", set(OrderNumberID, `null`), 400, msgPatch, "null"},
		{"number", set(OrderNumberID, `1`), 400, msgDecoding, "neither a string nor"},
		{"array of numbers", set(ContactReasonID, `[1]`), 400, msgDecoding, "contains a number"},
		{"by identifier", set("order_number", `"1"`), 400, msgDecoding, "no UUID"},
		{"list", `[{"id":"x"}]`, 400, msgDecoding, "an array"},
		{"twice", `{"` + OrderNumberID + `":"1","` + OrderNumberID + `":"2"}`, 400, msgDecoding, "twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, Options{Attributes: append(DefaultAttributes(),
				Attribute{ID: "00000000-0000-4000-8000-000000000001", Deactivated: true},
				Attribute{ID: "00000000-0000-4000-8000-000000000002", Type: "Number"})})
			id := mustImport(t, s)
			r := call(t, s, "PATCH", fmt.Sprintf("/v1/conversations/%d/custom-attributes", id), tt.body)
			equal(t, "status", r.status, tt.status)
			equal(t, "message", r.message(), tt.message)
			c, _ := s.Conversation(id)
			if tt.status != 200 && len(c.Attributes) > 0 {
				t.Errorf("a refused patch set %v", c.Attributes)
			}
			if tt.status == 200 && len(c.Attributes) != strings.Count(tt.body, ":") {
				t.Errorf("the patch set %v", c.Attributes)
			}
			v := strings.Join(s.Violations(), "\n")
			if !strings.Contains(v, tt.violation) || (tt.violation == "") != (v == "") {
				t.Errorf("violations %q, want one with %q", v, tt.violation)
			}
		})
	}
}

func TestPatchOfNoConversation(t *testing.T) {
	t.Parallel()
	s := setup(t, Options{})
	body := `{"` + otherAgent + `":"1"}`
	equal(t, "unknown", call(t, s, "PATCH", "/v1/conversations/1/custom-attributes", body).status, 404)
	noViolations(t, s)
	r := call(t, s, "PATCH", "/v1/conversations/"+userID+"/custom-attributes", body)
	equal(t, "by UUID", r.message(), "Invalid value for: path parameter conversationId")
}

func TestListAttributes(t *testing.T) {
	t.Parallel()
	s := New(Options{})
	list := call(t, s, "GET", "/v1/custom-attributes", "").list(t)
	equal(t, "archived", []any{list[0]["isArchived"], list[3]["isArchived"]}, []any{false, true})
	equal(t, "entity types", []any{list[0]["entityType"], list[4]["entityType"]}, []any{"Conversation", "Contact"})
	equal(t, "time", list[0]["createdAt"], any("2023-01-01T08:23:54.246Z[GMT]"))
	input := list[2]["inputDefinition"].(map[string]any)
	equal(t, "type", input["_type"], any("Select"))
	delivery := input["options"].([]any)[2].(map[string]any)
	lost := delivery["nestedOptions"].([]any)[2].(map[string]any)
	equal(t, "nested option", []any{lost["value"], lost["label"], lost["isDeactivated"]}, []any{"lost", "Lost", true})

	s.SetAttributes([]Attribute{{ID: otherAgent, Label: "New", Identifier: "new"}})
	list = call(t, s, "GET", "/v1/custom-attributes", "").list(t)
	equal(t, "attributes", len(list), 1)
	noViolations(t, s)
}
