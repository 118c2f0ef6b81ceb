package dixa

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

func TestWhatARequestSaidIsNotSaidAgain(t *testing.T) {
	t.Parallel()
	long := "Where is my order? I have waited for it since Monday, and nobody says anything."
	for _, tt := range []struct {
		said     private
		in, want string
	}{
		{nil, "Invalid input for Message", "Invalid input for Message"},
		{private{"Ann Lee"}, "no displayName Ann Lee, please", "no displayName ***, please"},
		{private{"loyalty-77"}, "map[id:[loyalty-77]] loyalty-77map", "map[id:[***]] ***map"},
		{private{"Ann"}, "Annual plans of Ann, JoAnn", "Annual plans of ***, JoAnn"},
		{private{"An", ""}, "An error", "An error"},
		{private{long}, "cannot take <" + long + "> in", "cannot take <***> in"},
		{private{long}, "cannot take " + long[:40] + "...", "cannot take ***..."},
		{private{long}, "cannot take " + long[:20] + "...", "cannot take " + long[:20] + "..."}, // too little to be known by
		{private{"two\nlines \"quoted\""}, `in {"value":"two\nlines \"quoted\""}`, `in {"value":"***"}`},
		{private{"two\n  lines"}, "in two\n  lines", "in ***"},
		{private{"card", "card payment"}, "card payment, card", "***, ***"},
		{private{"does not"}, "Requester does not exist", "Requester *** exist"},
	} {
		if got := cleanKeeping(tt.in, "", tt.said); got != tt.want {
			t.Errorf("%q became %q, want %q", tt.in, got, tt.want)
		}
	}
}

// TestEchoes has every operation answered with what it said.
func TestEchoes(t *testing.T) {
	t.Parallel()
	c, _ := setup(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		body := new(strings.Builder)
		if r.Body != nil {
			var raw json.RawMessage
			_ = json.NewDecoder(r.Body).Decode(&raw)
			body.Write(raw)
		}
		text, err := json.Marshal("cannot take " + body.String() + " or " + r.URL.Query().Encode() + " or " + r.URL.Query().Get("externalId") + r.Header.Get("Authorization"))
		if err != nil {
			t.Error(err)
		}
		reply(w, 400, `{"message": `+string(text)+`}`)
	})
	const secret = "Secretive"
	for name, do := range map[string]func() error{
		"import": func() error {
			_, err := c.ImportConversation(t.Context(), ConversationImport{Messages: []ImportMessage{{Content: Content{Value: secret},
				Attachments: []Attachment{{URL: "https://" + secret + ".example/?sig=1", PrettyName: secret + " file"}}}}}, nil)
			return err
		},
		"create": func() error {
			_, err := c.CreateEndUser(t.Context(), NewEndUser{DisplayName: secret, ExternalID: secret + "-1"}, nil)
			return err
		},
		"create many": func() error {
			_, err := c.CreateEndUsers(t.Context(), []NewEndUser{{DisplayName: secret}, {ExternalID: secret + "-1"}}, nil)
			return err
		},
		"look up": func() error { _, err := c.FindEndUsers(t.Context(), ByExternalID, secret); return err },
		"patch": func() error {
			return c.PatchAttributes(t.Context(), 7, map[string]AttributeValue{"a": {Text: secret}, "b": {List: []string{secret + " path"}}})
		},
	} {
		err := do()
		if err == nil || strings.Contains(err.Error(), testToken) || strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), "cannot take") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzEchoes(f *testing.F) {
	f.Add("cannot take Ann Lee", "Ann Lee")
	f.Add("x\u00e6\nABCDEFGHIJKLMNOPQRSTUVWXYZ", "ABCDEFGHIJKLMNOPQRSTUVWXYZabc")
	f.Fuzz(func(t *testing.T, text, value string) {
		got := private{value}.mask(oneLine(text))
		plain := oneLine(value)
		if len([]rune(plain)) > surestEcho && strings.Contains(strings.ReplaceAll(got, mask, ""), plain) {
			t.Errorf("%q is left in %q", plain, got)
		}
	})
}
