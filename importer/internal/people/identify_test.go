package people

import (
	"testing"

	"dixa-import/importer/checkpoint"
	"dixa-import/importer/internal/session"
	"dixa-import/source"
)

// newTestMatcher returns a Matcher with the default configuration, changed by change.
func newTestMatcher(change func(*session.Config)) *Matcher {
	cfg := session.Config{Source: "bot", Region: "DK"}.WithDefaults()
	if change != nil {
		change(&cfg)
	}
	return NewMatcher(cfg)
}

func TestPlaceholders(t *testing.T) {
	t.Parallel()
	for kind, values := range map[checkpoint.IdentifierKind]struct{ nobody, somebody []string }{
		checkpoint.ExternalID: {
			[]string{"undefined", "Undefined", "null", "NULL", "None", "nil", "<nil>", "n/a", "N.A.", "NaN", "anonymous", "Anonymous User", "anonymous-user", "guest",
				"GUEST_USER", "unknown", "Unknown Customer", "visitor", "0", "00", "-0", "0.0", "-", "--", "_", "?", "—", "-1", "00000000-0000-0000-0000-000000000000",
				"{00000000-0000-0000-0000-000000000000}", "000000000000000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "11111111-1111-1111-1111-111111111111",
				"123e4567-e89b-12d3-a456-426614174000", "[object Object]", "[object Undefined]", "{{user.id}}", "{{ user_id }}", "${id}", "$USER_ID", "<%= id %>", "{user_id}", "{}",
				"<user_id>", "%s", "%USER_ID%", "#{id}", "%!s(<nil>)", "*|EMAIL|*", "user-undefined", "undefined_undefined", "acme:null", "(null)", `\N`,
				"not set", "(not set)", "default", "test", "xxx", "aaaa", "00000000", "1234567890", "11111111", "noreply@example.org", "ukendt", "Anonym", "Гость", "匿名",
				"\u200bundefined\ufeff", " null ", "“undefined”"},
			[]string{"c-1", "c-42", "1", "42", "1234", "ann@example.org", "guest-8f3a", "anonymous_42", "$RCAnonymousID:8f3a", "f47ac10b-58cc-4372-a567-0e02b2c3d479",
				"{F47AC10B-58CC-4372-A567-0E02B2C3D479}", "auth0|5f7c", "nullable", "undefinedness", "10", "100200", "U0ABC", "kø", "no-7", "user-42", "x", "bot/t-1", "nine", "Annull"},
		},
		checkpoint.Email: {
			[]string{"test@test.com", "test@test.dk", "test1@test.com", "TEST@TEST.org", "noreply@acme.com", "no-reply@acme.com", "no_reply@acme.com", "orders-noreply@acme.com",
				"do-not-reply@acme.com", "no-reply+8f3a@acme.com", "example@example.com", "user@example.com", "your.email@example.com", "email@domain.com", "null@null", "null@acme.com",
				"undefined@acme.com", "undefined@undefined.com", "none@none.com", "anonymous@acme.com", "anonymous@anonymous.com", "guest@acme.com", "unknown@unknown.dk",
				"nobody@nowhere.com", "noemail@noemail.com", "a@a.com", "a@b.c", "xxx@xxx.com", "asdf@asdf.com", "undefined", "n/a", "{{user.email}}", "${email}", "-",
				"No Reply <noreply@acme.com>", "mailto:test@test.com", "test+1@test.com"},
			[]string{"ann@example.org", "bo@example.org", "customer7@example.org", "info@shop.example", "ann.noble@acme.com", "reply@acme.com", "testa@acme.com", "nan@acme.com",
				"p0@example.org", "a@example.org", "acme@acme.com", "ann@test.com"},
		},
		checkpoint.Phone: {
			[]string{"0000", "00000000", "000-000-0000", "+10000000000", "+45 00 00 00 00", "+4511111111", "99999999", "+15555555555", "123456789", "+49 123456789", "1234567890",
				"+12345678900", "+1 (234) 567-8901", "n/a", "unknown", "undefined", "-", "whatsapp:+10000000000", "+00 0000000", "０００００００"},
			[]string{"+4512345678", "12 34 56 78", "+4512345000", "+442079460958", "+4588888889"},
		},
	} {
		m := newTestMatcher(nil)
		for _, v := range values.nobody {
			if c := m.identifier(kind, v); c.value != "" || c.ignored != (Ignored{Placeholder: 1}) {
				t.Errorf("the %s %q is %q, ignored %+v", kind, v, c.value, c.ignored)
			}
		}
		for _, v := range values.somebody {
			if c := m.identifier(kind, v); c.value == "" || c.ignored.Total() != 0 {
				t.Errorf("the %s %q should be used, but is ignored: %+v", kind, v, c.ignored)
			}
		}
	}
}

func TestConfiguredPlaceholders(t *testing.T) {
	t.Parallel()
	m := newTestMatcher(func(c *session.Config) { c.Ignore = []string{"Web-Chat", "Kiosk@Shop.Example", "12 34 56 78", "4711"} })
	for kind, values := range map[checkpoint.IdentifierKind][]string{
		checkpoint.ExternalID: {"web-chat", " WEB-CHAT\u200e", "4711", "kiosk@shop.example"},
		checkpoint.Email:      {"kiosk@shop.example", "Kiosk <KIOSK@shop.example>", "web-chat"},
		checkpoint.Phone:      {"+4512345678", "0045 12345678", "tel:12345678", "4711"},
	} {
		for _, v := range values {
			if c := m.identifier(kind, v); c.value != "" || c.ignored != (Ignored{Placeholder: 1}) {
				t.Errorf("the %s %q is %q, ignored %+v", kind, v, c.value, c.ignored)
			}
		}
	}
}

func TestDamagedIdentifiers(t *testing.T) {
	t.Parallel()
	m := newTestMatcher(nil)
	for kind, values := range map[checkpoint.IdentifierKind][]string{
		checkpoint.ExternalID: {"k\ufffd", "\ufffd", "c\u0000-1", "c\t1", "c\u009b1", "c\n1"},
		checkpoint.Email:      {"k\ufffd@example.org", "ann@ex\ufffdmple.org", "ann\u0007@example.org"},
		checkpoint.Phone:      {"+45 12 34 56 78\ufffd", "+45\u000112345678"},
	} {
		for _, v := range values {
			if c := m.identifier(kind, v); c.value != "" || c.ignored != (Ignored{Damaged: 1}) {
				t.Errorf("the %s %q is %q, ignored %+v", kind, v, c.value, c.ignored)
			}
		}
	}
}

func TestEmailAddresses(t *testing.T) {
	t.Parallel()
	m := newTestMatcher(nil)
	for _, tc := range []struct{ written, want, name string }{
		{"ann@example.org", "ann@example.org", ""},
		{" ANN@Example.ORG ", "ann@example.org", ""},
		{"Ann Lee <ann@example.org>", "ann@example.org", "Ann Lee"},
		{`"Lee, Ann" <ann@example.org>`, "ann@example.org", "Lee, Ann"},
		{"Lee, Ann <Ann@example.org>", "ann@example.org", "Lee, Ann"},
		{"<ann@example.org>", "ann@example.org", ""},
		{"ann@example.org <ann@example.org>", "ann@example.org", ""},
		{"ann@example.org, bo@example.org", "ann@example.org", ""},
		{"n/a; Bo <bo@example.org>", "bo@example.org", "Bo"},
		{"noreply@acme.com,ann@example.org", "ann@example.org", ""},
		{"ann@example.org bo@example.org", "ann@example.org", ""},
		{"ann@example.org\nbo@example.org", "ann@example.org", ""},
		{"mailto:ann@example.org?subject=Hi%20there", "ann@example.org", ""},
		{"MAILTO:Ann@example.org", "ann@example.org", ""},
		{"Email: ann@example.org", "ann@example.org", ""},
		{"\u202aann@example.org\u202c", "ann@example.org", ""},
		{"a\u200bnn@exam\u00adple.org\ufeff", "ann@example.org", ""},
		{"\u00a0ann@example.org\u3000", "ann@example.org", ""},
		{"ann＠example．org", "ann@example.org", ""},
		{"ann@example.org.", "ann@example.org", ""},
		{"(ann@example.org)", "ann@example.org", ""},
		{"'ann@example.org'", "ann@example.org", ""},
		{"ann@BÜCHER.example", "ann@xn--bcher-kva.example", ""},
		{"ann@xn--bcher-kva.example", "ann@xn--bcher-kva.example", ""},
		{"ann@b\u0075\u0308cher.example", "ann@xn--bcher-kva.example", ""},
		{"ann.lee+x@example.org", "ann.lee+x@example.org", ""},
		{"nobody here", "", ""},
		{"ann at example.org", "", ""},
		{"@ann", "", ""},
		{"ann@", "", ""},
		{"a@b@c.org", "", ""},
	} {
		c := m.identifier(checkpoint.Email, tc.written)
		if c.value != tc.want || c.name != tc.name {
			t.Errorf("%q gives address %q, name %q; want %q, %q", tc.written, c.value, c.name, tc.want, tc.name)
		}
	}
}

func TestPersonNames(t *testing.T) {
	t.Parallel()
	m := newTestMatcher(func(c *session.Config) { c.AnonymousName = "Somebody" })
	for _, tc := range []struct {
		user source.EndUser
		want string
	}{
		{source.EndUser{Name: "Ann", Email: "Ann Lee <ann@example.org>"}, "Ann"},
		{source.EndUser{Name: "undefined", Email: "Ann Lee <ann@example.org>"}, "Ann Lee"},
		{source.EndUser{Email: "ann@example.org"}, ""},
		{source.EndUser{}, "Somebody"},
		{source.EndUser{Name: "Ann"}, "Ann"},
		{source.EndUser{ExternalID: "guest", Name: "{{name}}"}, "Somebody"},
	} {
		if p := m.Person(&source.Transcript{ID: "t-1", EndUser: tc.user}); p.Name != tc.want {
			t.Errorf("%+v has the name %q, want %q", tc.user, p.Name, tc.want)
		}
	}
}
