package dixa

import (
	"fmt"
	"strings"
	"testing"
)

func TestWebhooks(t *testing.T) {
	t.Parallel()
	const not, only = `{"field":"OperationOrigin","values":["ApiImport"],"_type":"IsNotOneOf"}`, `{"field":"OperationOrigin","values":["Agent"],"_type":"IsOneOf"}`
	const email = `{"field":"InitialChannel","values":["email"],"_type":"IsOneOf"}`
	const ours = `{"field":"InitialChannel","values":["email","generic_api_messaging"],"_type":"IsOneOf"}`
	const queue = `{"field":"QueueId","values":["q"],"_type":"IsNotOneOf"}`
	for filters, want := range map[string]bool{
		`null`: true, `{}`: true, `{"Conversation":null}`: true, `{"Agent":{"strategy":"All","conditions":[` + not + `]}}`: true,
		`{"Conversation":{"strategy":"All","conditions":[` + queue + `,` + not + `]}}`:   false,
		`{"Conversation":{"strategy":"All","conditions":[` + only + `]}}`:                false,
		`{"Conversation":{"strategy":"All","conditions":[` + email + `]}}`:               false,
		`{"Conversation":{"strategy":"All","conditions":[` + ours + `]}}`:                true,
		`{"Conversation":{"strategy":"All","conditions":[` + queue + `]}}`:               true,
		`{"Conversation":{"strategy":"Any","conditions":[` + queue + `,` + not + `]}}`:   true,
		`{"Conversation":{"strategy":"Any","conditions":[` + email + `,` + not + `]}}`:   false,
		`{"Conversation":{"strategy":"All","conditions":[{"field":"New","_type":"X"}]}}`: true,
	} {
		c, _ := answering(t, 200, `{"data":[{"id":"w","name":"Hook","enabled":true,"secretKey":"hunter2","headers":{"Authorization":"hunter2"},
			"subscribedEvents":["ConversationClosed"],"filters":`+filters+`},{"id":"off","enabled":false}]}`)
		got, err := c.ListWebhooks(t.Context())
		if err != nil || len(got) != 2 || got[0].Events[0] != "ConversationClosed" || strings.Contains(fmt.Sprintf("%+v", got), "hunter2") {
			t.Fatalf("%+v %v", got, err)
		}
		if got[0].ReceivesImports() != want || got[1].ReceivesImports() {
			t.Errorf("%s: %v", filters, !want)
		}
	}
}
