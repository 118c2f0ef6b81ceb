package redact

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"
)

func redactor(t testing.TB, kinds ...string) *Redactor {
	t.Helper()
	if kinds == nil {
		kinds = Kinds()
	}
	var rules []Rule
	for _, k := range kinds {
		rules = append(rules, Rule{Name: k})
	}
	r, err := New(rules, "DK")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPlaceholdersAreStableWithinATranscript(t *testing.T) {
	t.Parallel()
	r, seen := redactor(t), &Placeholders{}
	for _, x := range []struct{ text, want string }{
		{"Write to Ann@Example.org or bo@example.org", "Write to <EMAIL_ADDRESS_1> or <EMAIL_ADDRESS_2>"},
		{"ann@example.org!", "<EMAIL_ADDRESS_1>!"},
		{"Ring 12 34 56 78, +45 12345678", "Ring <PHONE_NUMBER_1>, <PHONE_NUMBER_1>"},
		{"Nothing here: order 12345678 of 2025-11-19", "Nothing here: order 12345678 of 2025-11-19"},
		{"4111 1111 1111 1111 and 4111-1111-1111-1111", "<CREDIT_CARD_1> and <CREDIT_CARD_1>"},
		{"DK50 0040 0440 1162 43 please", "<IBAN_CODE_1> please"},
		{"my cpr 010190-1234", "my cpr <DK_CPR_1>"},
		{"131052-308T", "<FI_HETU_1>"},
		{"811218-9876", "<SE_PERSONNUMMER_1>"},
		{"from 192.168.1.20 and 2001:db8::1", "from <IP_ADDRESS_1> and <IP_ADDRESS_2>"},
	} {
		if got := r.Text(x.text, seen, nil); got != x.want {
			t.Errorf("%q becomes %q, want %q", x.text, got, x.want)
		}
	}
	if seen.Hits["EMAIL_ADDRESS"] != 3 || seen.Hits["PHONE_NUMBER"] != 2 {
		t.Errorf("hits are %v", seen.Hits)
	}
}

func TestOwnPatterns(t *testing.T) {
	t.Parallel()
	r, err := New([]Rule{{Name: "ORDER", Pattern: `\bA-\d{4}\b`}, {Name: "EMAIL_ADDRESS"}}, "DK")
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Text("A-1234, A-12345, a@b.example", &Placeholders{}, func(s string) string { return `\` + s }); got != `\<ORDER_1>, A-12345, \<EMAIL_ADDRESS_1>` {
		t.Error(got)
	}
	for _, bad := range [][]Rule{{{Name: "PHONE"}}, {{Name: "EMAIL_ADDRESS", Pattern: "x"}}, {{Name: "x", Pattern: "x"}}, {{Name: "X", Pattern: "("}}, {{Name: "X", Pattern: "x*"}}, {{Name: "IP_ADDRESS"}, {Name: "IP_ADDRESS"}}} {
		if _, err := New(bad, "DK"); err == nil {
			t.Errorf("%v is accepted", bad)
		}
	}
}

// labelled is a sentence with the values of a kind in it that must be found; "": none must.
type labelled struct{ text, kind, value string }

func corpus() []labelled {
	rnd := rand.New(rand.NewPCG(1, 2))
	digit := func(n int) string {
		var b strings.Builder
		for range n {
			b.WriteByte(byte('0' + rnd.IntN(10)))
		}
		return b.String()
	}
	pick := func(list ...string) string { return list[rnd.IntN(len(list))] }
	luhnOf := func(payload string) string {
		for c := '0'; c <= '9'; c++ {
			if luhn(payload + string(c)) {
				return payload + string(c)
			}
		}
		panic("no check digit")
	}
	grouped := func(s, sep string, n int) string {
		var parts []string
		for ; len(s) > n; s = s[n:] {
			parts = append(parts, s[:n])
		}
		return strings.Join(append(parts, s), sep)
	}
	day := func() (d, m, y string) {
		return fmt.Sprintf("%02d", 1+rnd.IntN(28)), fmt.Sprintf("%02d", 1+rnd.IntN(12)), fmt.Sprintf("%02d", rnd.IntN(100))
	}
	iban := func() string {
		bban := digit(14)
		for check := 2; check < 99; check++ {
			s := fmt.Sprintf("DK%02d%s", check, bban)
			if _, _, ok := iban(s, 0, len(s), ""); ok {
				return s
			}
		}
		return "DK5000400440116243"
	}
	frames := []string{"%s", "Hi, it is %s.", "Hej, det er %s, tak", "my data: %s", "Du kan bruge %s i stedet", "(%s)", "Is %s right?", "Er %s korrekt?"}
	phones := []string{"My number is %s", "Call me on %s please", "Ring til mig på %s", "mit nummer er %s", "tlf. %s", "Mobil: %s", "phone %s", "sms til %s"}
	var all []labelled
	add := func(kind, value string, frames ...string) {
		all = append(all, labelled{fmt.Sprintf(pick(frames...), value), kind, value})
	}
	for range 130 {
		add("EMAIL_ADDRESS", pick("ann", "bo.lee", "søren", "x_1", "o'neil", "first+tag")+digit(2)+"@"+pick("example.org", "mail.example.com", "firma.dk", "smørrebrød.dk"), frames...)
		dk := pick("2", "3", "4", "5", "6", "7", "8", "9") + pick("0", "1", "2", "3", "4", "5") + digit(6)
		for n, err := phonenumbers.Parse(dk, "DK"); err != nil || !phonenumbers.IsValidNumber(n); n, err = phonenumbers.Parse(dk, "DK") {
			dk = pick("2", "3", "4", "5", "6", "7", "8", "9") + digit(7)
		}
		switch rnd.IntN(4) {
		case 0:
			add("PHONE_NUMBER", dk, phones...)
		case 1:
			add("PHONE_NUMBER", grouped(dk, " ", 2), append(phones, frames...)...)
		case 2:
			add("PHONE_NUMBER", "+45 "+dk, append(phones, frames...)...)
		case 3:
			add("PHONE_NUMBER", pick("+46 70 123 45 67", "+44 20 7946 0958", "+1 (212) 555-0187", "0049 30 901820"), append(phones, frames...)...)
		}
		add("CREDIT_CARD", grouped(luhnOf(pick("4", "51", "55") + digit(15))[:0]+luhnOf(pick("4111", "5105", "5555", "4571")+digit(11)), pick("", " ", "-"), 4), frames...)
		code := iban()
		if rnd.IntN(2) == 0 {
			code = grouped(code, " ", 4)
		}
		add("IBAN_CODE", code, frames...)
		add("IP_ADDRESS", pick(fmt.Sprintf("%d.%d.%d.%d", 1+rnd.IntN(254), rnd.IntN(256), rnd.IntN(256), 1+rnd.IntN(254)), "2001:db8::"+digit(3), "fe80::1ff:fe23:4567:890a"), frames...)
		d, m, y := day()
		add("DK_CPR", d+m+y+"-"+pick("1", "2", "3", "4")+digit(3), frames...)
		d, m, y = day()
		add("SE_PERSONNUMMER", func() string { s := luhnOf(y + m + d + digit(3)); return s[:6] + "-" + s[6:] }(), frames...)
		d, m, y = day()
		serial := fmt.Sprintf("%03d", 2+rnd.IntN(898))
		for _, c := range "0123456789ABCDEFHJKLMNPRSTUVWXY" {
			s := d + m + y + "-" + serial + string(c)
			if _, ok := hetu(s, 0, len(s)); ok {
				add("FI_HETU", s, frames...)
				break
			}
		}
		// near misses
		add("", "order "+digit(8), frames...)
		add("", "ordre nr. "+digit(8), frames...)
		add("", "faktura "+digit(9), frames...)
		add("", fmt.Sprintf("20%02d-%02d-%02d", rnd.IntN(30), 1+rnd.IntN(12), 1+rnd.IntN(28)), frames...)
		add("", fmt.Sprintf("%d.%03d,00 kr", 1+rnd.IntN(99), rnd.IntN(1000)), frames...)
		add("", fmt.Sprintf("kl. %02d:%02d:%02d", rnd.IntN(24), rnd.IntN(60), rnd.IntN(60)), frames...)
		add("", "version "+fmt.Sprintf("%d.%d.%d.%d", rnd.IntN(20), rnd.IntN(20), rnd.IntN(20), rnd.IntN(20)), frames...)
		add("", pick("@ann on the web", "a @ b", "example.org", "user at example dot org", "50% @ home"), frames...)
		bad := luhnOf("4111" + digit(11))
		add("", grouped(bad[:15]+string('0'+(bad[15]-'0'+1)%10), " ", 4), frames...)
		add("", "tracking "+digit(12), frames...)
		add("", fmt.Sprintf("99%02d%s-%s", 13+rnd.IntN(80), digit(2), digit(4)), frames...)
		add("", fmt.Sprintf("%d stk à %d kr", rnd.IntN(1000), rnd.IntN(10000)), frames...)
	}
	return all
}

// national are kinds of which a value may be right in two countries: then either name will do.
var national = map[string]bool{"DK_CPR": true, "SE_PERSONNUMMER": true, "FI_HETU": true}

// TestPrecisionAndRecall holds the figures that the README gives.
func TestPrecisionAndRecall(t *testing.T) {
	t.Parallel()
	r := redactor(t)
	type score struct{ found, missed, wrong int }
	scores := map[string]*score{}
	for _, k := range Kinds() {
		scores[k] = &score{}
	}
	all := corpus()
	if len(all) < 2000 {
		t.Fatalf("only %d sentences", len(all))
	}
	for _, x := range all {
		spans, kinds := r.Find(x.text)
		found := false
		for i, span := range spans {
			if (kinds[i] == x.kind || national[kinds[i]] && national[x.kind]) && x.text[span[0]:span[1]] == x.value {
				found = true
				continue
			}
			scores[kinds[i]].wrong++
			if os.Getenv("REDACT_SHOW") != "" {
				t.Logf("%q: %s %q", x.text, kinds[i], x.text[span[0]:span[1]])
			}
		}
		switch {
		case x.kind == "":
		case found:
			scores[x.kind].found++
		default:
			scores[x.kind].missed++
			if os.Getenv("REDACT_SHOW") != "" {
				t.Logf("%q: missed %s", x.text, x.kind)
			}
		}
	}
	for _, k := range slices.Sorted(slices.Values(Kinds())) {
		s := scores[k]
		precision, recall := float64(s.found)/float64(max(s.found+s.wrong, 1)), float64(s.found)/float64(max(s.found+s.missed, 1))
		t.Logf("%-16s precision %.3f, recall %.3f (%d values)", k, precision, recall, s.found+s.missed)
		if precision < 0.98 || recall < 0.98 {
			t.Errorf("%s: precision %.3f, recall %.3f", k, precision, recall)
		}
	}
}

func FuzzText(f *testing.F) {
	r := redactor(f)
	for _, x := range corpus()[:40] {
		f.Add(x.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		spans, _ := r.Find(text)
		at := 0
		for _, s := range spans {
			if s[0] < at || s[1] <= s[0] || s[1] > len(text) {
				t.Fatalf("spans are %v in %q", spans, text)
			}
			at = s[1]
		}
		_ = r.Text(text, &Placeholders{}, nil)
	})
}

// BenchmarkText measures a message of a chat.
func BenchmarkText(b *testing.B) {
	r, all := redactor(b), corpus()
	n := 0
	for b.Loop() {
		_ = r.Text(all[n%len(all)].text+", and my parcel has not arrived yet. Could you look where it is? I ordered it on Monday the 3rd.", &Placeholders{}, nil)
		n++
	}
}
