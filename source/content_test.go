package source

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDecodeParts(t *testing.T) {
	t.Parallel()
	link := func(urls ...string) (out []Attachment) {
		for _, u := range urls {
			out = append(out, Attachment{URL: u})
		}
		return out
	}
	const a, b = "https://a.example/1.png", "http://b.example/2"
	tests := []struct {
		content, text string
		files         []Attachment
	}{
		{`[{"type":"text","text":"hi"}]`, "hi", nil},
		{`[{"type":"input_text","text":"one"},{"type":"input_text","text":"two"}]`, "one\ntwo", nil},
		{`[{"type":"output_text","text":"hi","annotations":[]}]`, "hi", nil},
		{`["one","two"]`, "one\ntwo", nil},
		{`["It is ",{"type":"text","text":"blue"},{"type":"text","text":". "},"Yes"]`, "It is blue\n. Yes", nil},
		{`[{"text":"hi"},null,{"type":"text","text":null},{"type":"text"}]`, "hi", nil},
		{`[{"type":"text","text":{"value":"hi","annotations":[]}}]`, "hi", nil},
		{`[{"type":"refusal","refusal":"I cannot"}]`, "I cannot", nil},
		{`[{"type":"text","text":"see"},{"type":"image_url","image_url":{"url":"` + a + `","detail":"low"}}]`, "see", link(a)},
		{`[{"type":"input_image","image_url":"` + a + `"},{"type":"image","source":{"type":"url","url":"` + b + `"}}]`, "", link(a, b)},
		{`[{"type":"file","url":"` + b + `","filename":"order.pdf","mediaType":"application/pdf"}]`, "", []Attachment{{b, "order.pdf"}}},
		{`[{"type":"text","text":"x"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}},{"type":"image","source":{"type":"base64","data":"AAAA"}},{"type":"input_file","file_id":"f"}]`, "x", nil},
		{`[{"type":"reasoning","text":"secret"},{"type":"thinking","thinking":"secret"},{"type":"text","text":"x"},{"type":"tool_use","input":{"text":"secret"}},{"type":"tool_result","content":"secret"},
			{"type":"function_call","text":"secret"},{"type":"mid_conv_system","text":"secret"}]`, "x", nil},
		{`[{"type":"t\u0065xt","te\u0078t":"\u00e6"}]`, "æ", nil},
	}
	for _, field := range []string{"content", "text"} {
		for _, tt := range tests {
			got := mustDecode(t, closed(`"messages":[{"role":"bot","text":"first"},{"role":"user","`+field+`":`+tt.content+`}]`)).Messages[1]
			got.At = time.Time{}
			if diff := cmp.Diff(Message{Role: RoleUser, Format: FormatText, Text: tt.text, Attachments: tt.files}, got); diff != "" {
				t.Errorf("%s: %s", tt.content, diff)
			}
		}
	}
	for _, nothing := range []string{`[]`, `[{"type":"reasoning","text":"secret"}]`, `[{"type":"tool_result","content":"secret"}]`, `["\u200b"," "]`} {
		if got := mustDecode(t, closed(`"messages":[{"role":"bot","text":"first"},{"role":"user","content":`+nothing+`}]`)).Messages; len(got) != 1 {
			t.Errorf("%s: got %+v", nothing, got)
		}
	}
	got := mustDecode(t, closed(`"messages":[{"role":"user","text":"","content":"x"},{"role":"user","content":[{"type":"video","url":"v"},{"type":"tool_use"},{"audio":1},"y"]}]`))
	if diff := cmp.Diff([]string{"messages.content.part", "messages.content.video"}, got.Unknown); diff != "" || got.Messages[0].Text != "x" {
		t.Errorf("%+v: %s", got.Messages, diff)
	}
}

func TestDecodeRoleWords(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]Role{
		"user": RoleUser, "USER": RoleUser, " User\t": RoleUser, "human": RoleUser, "Human": RoleUser, "END_USER": RoleUser, "Customer ": RoleUser,
		"ai": RoleBot, "AI": RoleBot, "model": RoleBot, "Model": RoleBot, "Bot": RoleBot, "ASSISTANT": RoleBot, "\n Agent": RoleAgent,
		"developer": "", "Developer": "", "SYSTEM": "", " Tool ": "", "Function": "", "EVENT": "",
	} {
		quoted := string(quoted([]byte(word)))
		got := mustDecode(t, closed(`"messages":[{"role":"bot","text":"first"},{"role":`+quoted+`,"text":"x"}]`)).Messages[1:]
		if want == "" && len(got) == 0 || want != "" && len(got) == 1 && got[0].Role == want {
			continue
		}
		t.Errorf("%q: got %+v, want %q", word, got, want)
	}
	for _, word := range []string{"visitor", "supervisor", "", " ", "user1", "us er", "ai_agent", "note", "0", "ＵＳＥＲ"} {
		_, failure := decode([]byte(closed(`"messages":[{"role":"`+word+`","text":"x"}]`)), testNow, nil)
		if failure == nil || failure.Code != RejectInvalidRole {
			t.Errorf("%q: got %v", word, failure)
		}
	}
}

func TestBlank(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", " \t\r\n", "\u00a0\u2003\u3000\u2028", "\u200b", "\u200d\u200c", "\ufeff", "\u00ad", "\u200e\u200f", "\u2066\u2069", "\u3164", "\uffa0", "\u115f\u1160", "\u2800",
		"\u2060", "\u034f", "\ufe0f", "\u180e", "\u180b", "\U000e0041", "\U000e0100", "\x07\x1b", " \u200b\u2800 "} {
		if !blank(text) {
			t.Errorf("%q shows something", text)
		}
		got, failure := decode([]byte(closed(`"messages":[{"role":"user","text":`+string(quoted([]byte(text)))+`}]`)), testNow, nil)
		if failure == nil || failure.Code != RejectNoMessages {
			t.Errorf("%q is sent: %+v", text, got)
		}
	}
	for _, text := range []string{"x", "\u200bx", ".", "👍\ufe0f", "👨\u200d👩", "\u0600", "ـ", "\ufffd", "ø", "あ", "\u0301"} {
		if blank(text) {
			t.Errorf("%q shows nothing", text)
		}
	}
}
