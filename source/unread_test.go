package source

import (
	"strings"
	"testing"
)

func TestWhatIsNotReadIsNotEmpty(t *testing.T) {
	t.Parallel()
	const secret = "Sekret"
	for _, tt := range []struct{ messages, reason string }{
		{`[{"role":"user","body":"Sekret"}]`, "messages[0] has no text, but body has one: rename body to text"},
		{`[{"role":"bot","text":"hi"},{"role":"user","Text":"Sekret"}]`, "messages[1] has no text, but Text has one: rename"},
		{`[{"role":"bot","text":"hi"},{"role":"user","text":null,"message":"Sekret"}]`, "messages[1] has no text, but message has one"},
		{`[{"role":"bot","text":"hi"},{"role":"user","messageText":"Sekret"}]`, "messages[1] has no text, but messageText has one"},
		{`[{"role":"bot","body":[{"insert":"It is Sekret"}]}]`, "messages[0] has no text, but body has one"},
		{`[{"role":"user","nachricht":"Wo ist Sekret?"}]`, "messages[0] has no text, but nachricht holds words: rename"},
		{`[{"role":"user","x y":"Wo ist Sekret?"}]`, "messages[0] has no text, but another field holds words"},
		{`[{"role":"user","payload":{"type":"text","value":"Where is Sekret?"}}]`, "messages[0] has no text, but payload holds words"},
		{`[{"role":"user","said":"注文はどこ"}]`, "messages[0] has no text, but said holds words"},
		{`[{"role":"user","media":"https://cdn.example/Sekret.png"}]`, "messages[0] has no text, but media holds words"},
		{`[{"role":"user","content":[{"type":"image","source":{"type":"base64","data":"Sekret"}}]}]`, "messages[0].content[0] is neither a text nor a file with a URL"},
		{`[{"role":"user","content":["",{"type":"image_url","image_url":{"url":"data:image/png;base64,Sekret"}}]}]`, "messages[0].content[1] is neither"},
		{`[{"role":"user","content":[{"type":"input_file","file_id":"Sekret"}]}]`, "messages[0].content[0] is neither"},
		{`[{"role":"user","parts":[{"inline_data":{"mime_type":"image/png","data":"Sekret"}}]}]`, "messages[0].parts[0] is neither"},
		{`[{"role":"user","text":"","content":[{"type":"video","id":"Sekret"}]}]`, "messages[0].content[0] is neither"},
		{`[{"role":"bot","text":"hi"},{"role":"user","content":[{"type":"markdown","text":"Sekret"}]}]`, "messages[1].content[0] is neither"},
		{`[],"turns":[{"by":"bot","said":"Here is Sekret"}]`, "messages holds nothing to send, but turns holds words"},
		{`null,"Messages":[{"role":"bot","text":"Here is Sekret"}]`, "messages is null, but Messages has a value"},
		{`[{"role":"user","text":" "}],"transcript":"user: where is Sekret"`, "messages holds nothing to send, but transcript holds words"},
	} {
		got, failure := decode([]byte(closed(`"messages":`+tt.messages)), testNow, nil)
		if failure == nil || failure.Code != RejectInvalidField || !strings.HasPrefix(failure.Reason, tt.reason) {
			t.Errorf("%s: got %+v, %v, want %s", tt.messages, got, failure, tt.reason)
			continue
		}
		if strings.Contains(failure.Reason, secret) || !strings.Contains(failure.Reason, ": ") {
			t.Errorf("%s: %s", tt.messages, failure.Reason)
		}
	}
}

func TestWhatIsAboutAnEmptyChatLeavesItEmpty(t *testing.T) {
	t.Parallel()
	for _, messages := range []string{
		`[{"role":"user","text":"","name":"Ann Lee","user_agent":"Mozilla 5.0 (X11)","channel":"web chat","sentAt":"Thu Nov 19 08:00:00","timestamp":"2026-11-19 08:00:00"}]`,
		`[{"role":"user","text":"","metadata":{"page":"Track my order","url":"https://shop.example/"},"intent":{"name":"say hello"},"score":0.5,"seen":true,"kind":"typing","seq":"m 17"}]`,
		`[{"role":"user","body":""},{"role":"user","message":null},{"role":"user","html":" \u200b"},{"role":"bot","parts":[]}]`,
		`[{"role":"bot","text":null,"tool_calls":[{"function":{"name":"find","arguments":"where is it"}}],"reasoning_content":"She wants it"}]`,
		`[{"role":"bot","content":[{"type":"thinking","thinking":"She wants it"},{"type":"tool_use","input":{"text":"where is it"}}]}]`,
		`[{"role":"model","parts":[{"text":"She wants it","thought":true},{"functionCall":{"name":"find"}},{"function_response":{"a":"b c"}}]}]`,
		`[{"role":"system","body":"You are a bot"},{"role":"tool","text":"It is there"}]`,
		`[],"turns":[],"history":null,"transcript":"","subject":"Where is it?"`,
	} {
		if got, failure := decode([]byte(closed(`"messages":`+messages)), testNow, nil); failure == nil || failure.Code != RejectNoMessages {
			t.Errorf("%s: got %+v, %v", messages, got, failure)
		}
	}
}

// A message without a text among others is dropped if nothing says that it had one.
func TestAMessageAboutNothingIsDropped(t *testing.T) {
	t.Parallel()
	for _, message := range []string{
		`{"role":"user","text":"","attachment_note":"sent a photo"}`,
		`{"role":"user","content":[{"type":"image","source":{"type":"base64","data":"AAAA"}}]}`,
		`{"role":"bot","buttons":[{"title":"Yes, please"}]}`,
	} {
		got := mustDecode(t, closed(`"messages":[{"role":"bot","text":"hi"},`+message+`]`))
		if len(got.Messages) != 1 || len(got.Unknown) != 1 {
			t.Errorf("%s: got %+v", message, got)
		}
	}
}

func TestDecodeGeminiParts(t *testing.T) {
	t.Parallel()
	got := mustDecode(t, closed(`"messages":[{"role":"user","parts":[{"text":"Where is it?"}]},{"role":"model","parts":[{"text":"secret","thought":true},{"text":"There."},{"text":"Anything else?"}]},
		{"role":"user","text":"No","content":"","parts":[{"type":"text","text":"not this"}]}]`))
	var texts []string
	for _, m := range got.Messages {
		texts = append(texts, m.Text)
	}
	if strings.Join(texts, "|") != "Where is it?|There.\nAnything else?|No" || len(got.Unknown) != 0 {
		t.Errorf("got %q, unknown %v", texts, got.Unknown)
	}
}
