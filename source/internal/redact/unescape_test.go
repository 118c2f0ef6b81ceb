package redact

import "testing"

func TestEscapedValues(t *testing.T) {
	t.Parallel()
	r, err := New([]Rule{{Name: "EMAIL_ADDRESS"}, {Name: "CREDIT_CARD"}, {Name: "DK_CPR"}, {Name: "PHONE_NUMBER"}}, "DK")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"Write to ann&#64;example.org, please":                      "Write to <EMAIL_ADDRESS_1>, please",
		"ann&#x40;example&#46;org":                                  "<EMAIL_ADDRESS_1>",
		"ann&commat;example&period;org and ann@example.org":         "<EMAIL_ADDRESS_1> and <EMAIL_ADDRESS_1>",
		"ann&amp;#64;example.org":                                   "<EMAIL_ADDRESS_1>",
		`<a href="mailto:ann%40example.org?subject=a%20b">me</a>`:   `<a href="mailto:<EMAIL_ADDRESS_1>?subject=a%20b">me</a>`,
		"https://shop.example.org/?mail=ann%40example.org&x=1":      "https://shop.example.org/?mail=<EMAIL_ADDRESS_1>&x=1",
		"my card: 4111&nbsp;1111&#32;1111&nbsp;1111":                "my card: <CREDIT_CARD_1>",
		"100% &amp; more, 50%off & so on; AT&T, &#64; alone, %zz":   "100% &amp; more, 50%off & so on; AT&T, &#64; alone, %zz",
		"4111\u00a01111\u202f1111\u00a01111, ann@exam\u00adple.org": "<CREDIT_CARD_1>, <EMAIL_ADDRESS_1>",
		"&":  "&",
		"%4": "%4",
	} {
		var seen Placeholders
		if got := r.Text(text, &seen, nil); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}
