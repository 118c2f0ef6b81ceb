package shape

import (
	"encoding/binary"
	"hash/maphash"
	"html"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"dixa-import/dixa"
)

// Contents is what a conversation's messages say of whose they are.
type Contents struct {
	Names []string // the transcripts that their external ids name, usually one or none
	Bare  []Bare   // those without an external id
}

// Bare is a message without an external id. Of its text there are fingerprints only.
type Bare struct {
	at       int64 // Unix milliseconds
	outbound bool
	text     uint64
	letters  uint64 // of its letters and digits alone; 0 if it has none
}

var fingerprints = maphash.MakeSeed()

func bareOf(at dixa.Time, outbound bool, text string) Bare {
	b := Bare{at: at.UnixMilli(), outbound: outbound, text: maphash.String(fingerprints, text)}
	if letters := lettersOf(text); letters != "" {
		b.letters = max(1, maphash.String(fingerprints, letters))
	}
	return b
}

var markup = regexp.MustCompile(`<[^<>]*>`)

// lettersOf is what is left of a text however Dixa may write it: its letters and digits, without markup and in lower case.
func lettersOf(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, html.UnescapeString(markup.ReplaceAllString(text, " ")))
}

// ReadingOf sorts the messages of a conversation.
func ReadingOf(messages []dixa.Message) Contents {
	var c Contents
	for _, m := range messages {
		if m.ExternalID == "" {
			a := m.Attributes
			c.Bare = append(c.Bare, bareOf(m.CreatedAt, a.Direction == dixa.Outbound, a.Content.Value))
			continue
		}
		if name, ok := NamedBy(m); ok && !slices.Contains(c.Names, name) {
			c.Names = append(c.Names, name)
		}
	}
	return c
}

// NamedBy returns the transcript that a message names by its external id, "<transcript>:<n>", and false if it names none.
func NamedBy(m dixa.Message) (transcript string, ok bool) {
	i := strings.LastIndexByte(m.ExternalID, ':')
	if i < 0 {
		return "", false
	}
	return m.ExternalID[:i], true
}

// Resemblance is how much a conversation whose messages have no external ids is like a transcript.
type Resemblance int

// How much it may be like.
const (
	Unlike  Resemblance = iota // it is another one
	Alike                      // it may be the transcript
	Matches                    // end-user, time, and the messages' texts, times and directions in order are those of the transcript
)

// Nearly is how far apart times may be of which one may have been rounded.
const Nearly = time.Second

// Resembles compares what is known of a conversation with a transcript as it is sent. Attachments that Dixa refused were sent as
// links in the texts.
func Resembles(want, asLinks dixa.ConversationImport, created dixa.Time, got []Bare) Resemblance {
	sent, linked := baresOf(want), baresOf(asLinks)
	exact := len(got) == len(sent)
	for i := 0; exact && i < len(sent); i++ {
		exact = got[i] == sent[i] || got[i] == linked[i]
	}
	switch near := created.Sub(want.CreatedAt.Time).Abs() < Nearly; {
	case exact && created.UnixMilli() == want.CreatedAt.UnixMilli():
		return Matches
	case exact || near && inCommon(got, append(sent, linked...)):
		return Alike
	}
	return Unlike
}

// inCommon reports whether some message of one list may be one of the other: by its text, or by time and direction.
func inCommon(got, sent []Bare) bool {
	return slices.ContainsFunc(got, func(g Bare) bool {
		return slices.ContainsFunc(sent, func(s Bare) bool {
			apart := time.Duration(g.at-s.at).Abs() * time.Millisecond
			return g.text == s.text || g.letters != 0 && g.letters == s.letters || apart < Nearly && g.outbound == s.outbound
		})
	})
}

func baresOf(in dixa.ConversationImport) []Bare {
	out := make([]Bare, len(in.Messages))
	for i, m := range in.Messages {
		out[i] = bareOf(m.CreatedAt, m.Type == dixa.OutboundImport, m.Content.Value)
	}
	return out
}

// Likeness is a fingerprint of a conversation of an end-user: the same for all that have the same times, texts and directions.
func Likeness(endUserID string, in dixa.ConversationImport) uint64 {
	var h maphash.Hash
	h.SetSeed(fingerprints)
	_, _ = h.WriteString(endUserID)
	number := func(n uint64) { _, _ = h.Write(binary.LittleEndian.AppendUint64(nil, n)) }
	number(uint64(in.CreatedAt.UnixMilli()))
	for _, b := range baresOf(in) {
		number(uint64(b.at))
		number(b.text)
		if b.outbound {
			number(1)
		}
	}
	return h.Sum64()
}
