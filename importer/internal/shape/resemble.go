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

// Contents is what identifies the transcript of a conversation's messages.
type Contents struct {
	Names   []string  // the transcripts that their external ids name, usually one or none
	Unnamed []Unnamed // those without an external id
}

// Unnamed is a message without an external id. It holds only fingerprints of the text.
type Unnamed struct {
	at       int64 // Unix milliseconds
	outbound bool
	text     uint64
	letters  uint64 // fingerprint of its letters and digits; 0 if it has none
}

var fingerprints = maphash.MakeSeed()

func unnamedOf(at dixa.Time, outbound bool, text string) Unnamed {
	b := Unnamed{at: at.UnixMilli(), outbound: outbound, text: maphash.String(fingerprints, text)}
	if letters := lettersOf(text); letters != "" {
		b.letters = max(1, maphash.String(fingerprints, letters))
	}
	return b
}

var markup = regexp.MustCompile(`<[^<>]*>`)

// lettersOf returns the letters and digits of a text, in lower case and without markup: the part that no change of format affects.
func lettersOf(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, html.UnescapeString(markup.ReplaceAllString(text, " ")))
}

// ContentsOf returns the Contents of a conversation's messages.
func ContentsOf(messages []dixa.Message) Contents {
	var c Contents
	for _, m := range messages {
		if m.ExternalID == "" {
			a := m.Attributes
			c.Unnamed = append(c.Unnamed, unnamedOf(m.CreatedAt, a.Direction == dixa.Outbound, a.Content.Value))
			continue
		}
		if name, ok := TranscriptOf(m); ok && !slices.Contains(c.Names, name) {
			c.Names = append(c.Names, name)
		}
	}
	return c
}

// TranscriptOf returns the transcript that a message's external id, "<transcript>:<n>", names, and false if it names none.
func TranscriptOf(m dixa.Message) (transcript string, ok bool) {
	i := strings.LastIndexByte(m.ExternalID, ':')
	if i < 0 {
		return "", false
	}
	return m.ExternalID[:i], true
}

// Resemblance says how closely a conversation whose messages have no external ids resembles a transcript.
type Resemblance int

// The degrees of resemblance.
const (
	Unlike  Resemblance = iota // it is another conversation
	Alike                      // it may be the transcript
	Matches                    // it has the transcript's start, and the same texts, times and directions in order
)

// TimeTolerance is the largest difference between two times that rounding may explain.
const TimeTolerance = time.Second

// Resembles compares a conversation's creation time and messages with a transcript as it is sent: with its attachments (want) or, if Dixa
// refused those, with links in the texts (asLinks).
func Resembles(want, asLinks dixa.ConversationImport, created dixa.Time, got []Unnamed) Resemblance {
	sent, linked := unnamedIn(want), unnamedIn(asLinks)
	exact := len(got) == len(sent)
	for i := 0; exact && i < len(sent); i++ {
		exact = got[i] == sent[i] || got[i] == linked[i]
	}
	switch near := created.Sub(want.CreatedAt.Time).Abs() < TimeTolerance; {
	case exact && created.UnixMilli() == want.CreatedAt.UnixMilli():
		return Matches
	case exact || near && shareMessage(got, append(sent, linked...)):
		return Alike
	}
	return Unlike
}

// shareMessage reports whether any message of one list may be in the other, judged by text, or by time and direction.
func shareMessage(got, sent []Unnamed) bool {
	return slices.ContainsFunc(got, func(g Unnamed) bool {
		return slices.ContainsFunc(sent, func(s Unnamed) bool {
			apart := time.Duration(g.at-s.at).Abs() * time.Millisecond
			return g.text == s.text || g.letters != 0 && g.letters == s.letters || apart < TimeTolerance && g.outbound == s.outbound
		})
	})
}

func unnamedIn(in dixa.ConversationImport) []Unnamed {
	out := make([]Unnamed, len(in.Messages))
	for i, m := range in.Messages {
		out[i] = unnamedOf(m.CreatedAt, m.Type == dixa.OutboundImport, m.Content.Value)
	}
	return out
}

// Fingerprint returns a hash of an end-user's conversation: equal for conversations with the same times, texts and directions.
func Fingerprint(endUserID string, in dixa.ConversationImport) uint64 {
	var h maphash.Hash
	h.SetSeed(fingerprints)
	_, _ = h.WriteString(endUserID)
	number := func(n uint64) { _, _ = h.Write(binary.LittleEndian.AppendUint64(nil, n)) }
	number(uint64(in.CreatedAt.UnixMilli()))
	for _, b := range unnamedIn(in) {
		number(uint64(b.at))
		number(b.text)
		if b.outbound {
			number(1)
		}
	}
	return h.Sum64()
}
