package dixa

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestMessagesAreCleaned(t *testing.T) {
	t.Parallel()
	const uuid = "12345678-1234-1234-1234-123456789012"
	for in, want := range map[string]string{
		"Requester does not exist":                        "Requester does not exist",
		" two\r\n lines\t here ":                          "two lines here",
		"bell\a and \x00NUL":                              "bell and NUL",
		"bad \xff bytes":                                  "bad \uFFFD bytes",
		"for ann.lee+x@example.org, ok":                   "for ***, ok",
		"<ann@example.org>, (bob@localhost)":              "<***>, (***)",
		`"ann lee"@example.org is taken`:                  "*** is taken",
		"email=ann%40example.org&x":                       "email=***",
		"a\u200bnn@exam\u200bple.org":                     "***",
		"søren@exämple.dk":                                "***",
		"phone +45 12 34 56 78 exists":                    "phone *** exists",
		"phone +4512345678":                               "phone ***",
		"phone=%2B4512345678":                             "phone=***",
		"x+4512345678":                                    "x***",
		"call (555) 123-4567 now":                         "call (*** now",
		"number 4512345678.":                              "number ***.",
		"tel:4512345678":                                  "tel:***",
		"conversation 123456":                             "conversation 123456",
		"[userId=" + uuid + "] failed":                    "[userId=" + uuid + "] failed",
		"in " + uuid + ", 12345678":                       "in " + uuid + ", ***",
		"since 2021-12-01 no":                             "since 2021-12-01 no",
		"externalId: support-bot/12345678:2":              "externalId: support-bot/12345678:2",
		"Create EndUser failed with [errors=EmailExists]": "Create EndUser failed with [errors=EmailExists]",
		strings.Repeat("å", 400):                          strings.Repeat("å", 300),
		strings.Repeat("x ", 149) + "y ann@example.org":   strings.Repeat("x ", 149) + "y",
	} {
		if got := cleanMessage(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzErrorBodies(f *testing.F) {
	f.Add("Invalid ann@example.org and +45 12 34 56 78 in 12345678-1234-1234-1234-123456789012", "bot/1:2")
	f.Add("\xff\x00 \u202e\n %2B4512345678 %40", "")
	f.Add(strings.Repeat("1", 400)+"@", "1")
	f.Add("0@0@0", "")
	f.Fuzz(func(t *testing.T, text, keep string) {
		for _, got := range []string{cleanMessage(text), cleanKeeping(text, longestContained(text, func(yield func(string) bool) { yield(keep) }), private{keep})} {
			if !utf8.ValidString(got) || utf8.RuneCountInString(got) > maxMessage || strings.ContainsFunc(got, unicode.IsControl) {
				t.Errorf("%q: %q", text, got)
			}
		}
		if got := cleanMessage(text); email.MatchString(got) {
			t.Errorf("%q: an address is left in %q", text, got)
		}
	})
}
