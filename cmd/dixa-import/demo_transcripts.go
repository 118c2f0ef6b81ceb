package main

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"dixa-import/cmd/dixa-import/internal/term"
	"dixa-import/dixa/sandbox"
)

// The transcripts of a demo that are not like the others, by their place.
const (
	demoAnonymous   = 3 // no identifier of the end-user
	demoPartial     = 5 // an attachment that the sandbox cannot use
	demoRejected    = 7 // a time without a zone
	demoStillOpen   = 9 // no closed_at
	demoLeast       = 10
	demoSeed        = 20261119
	demoPerCustomer = 3 // transcripts of one customer, about
)

type demoTranscript struct {
	ID         string         `json:"id"`
	CreatedAt  string         `json:"created_at"`
	ClosedAt   string         `json:"closed_at,omitempty"`
	EndUser    *demoEndUser   `json:"end_user,omitempty"`
	Messages   []demoMessage  `json:"messages"`
	Attributes map[string]any `json:"attributes,omitempty"`
}

type demoEndUser struct {
	ExternalID string `json:"external_id,omitempty"`
	Email      string `json:"email,omitempty"`
	Phone      string `json:"phone,omitempty"`
	Name       string `json:"name,omitempty"`
}

type demoMessage struct {
	Role        string           `json:"role"`
	Text        string           `json:"text"`
	Format      string           `json:"format,omitempty"`
	CreatedAt   string           `json:"created_at"`
	Attachments []demoAttachment `json:"attachments,omitempty"`
}

type demoAttachment struct {
	URL  string `json:"url"`
	Name string `json:"name"`
}

// demoTopics are conversations of a web shop's bot: what it is about, and what is said in turn, %s being an order number.
var demoTopics = []struct {
	reason []string
	lines  []string
}{
	{[]string{"delivery", "late"}, []string{"Where is my order %s?", "Order %s left our warehouse **yesterday**.",
		"When will it be here?", "It arrives **tomorrow** before noon.", "Great, thank you!", "You are welcome. Have a nice day!"}},
	{[]string{"payment", "card"}, []string{"My card was charged twice for %s.", "I see one payment for %s and one reservation.",
		"And when is that gone?", "Your bank releases it within three days.", "OK, thanks"}},
	{[]string{"delivery", "damaged"}, []string{"The parcel %s came damaged", "I am sorry. Could you send us a picture of order %s?",
		"Yes, one moment", "Thank you, a replacement is on its way.", "That was quick 😊"}},
	{[]string{"access"}, []string{"I cannot log in to see order %s", "I have sent you a link for a new password.", "Got it, works now"}},
	{[]string{"payment", "bank_transfer"}, []string{"Did my transfer for %s arrive?", "Yes, we booked it for order %s this morning.", "Perfect"}},
}

var (
	demoFirstNames = []string{"Ann", "Bo", "Clara", "David", "Ella", "Freja", "Gustav", "Hannah", "Ida", "Jonas", "Karla", "Lars", "Maja", "Noah"}
	demoLastNames  = []string{"Lee", "Holm", "Jensen", "Berg", "Kruse", "Madsen", "Olsen", "Winther", "Dahl"}
)

// writeDemo writes n made-up transcripts as JSONL, always the same for the same n.
func writeDemo(w io.Writer, n int) error {
	out := bufio.NewWriter(w)
	random := rand.New(rand.NewPCG(demoSeed, 1))
	enc := term.NewEncoder(out)
	begin := time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)
	customers := max(1, n/demoPerCustomer)
	for i := range n {
		if err := enc.Encode(makeDemo(random, i, customers, begin.Add(time.Duration(i)*7*time.Minute))); err != nil {
			return fmt.Errorf("write the transcripts of the demo: %w", err)
		}
	}
	return out.Flush()
}

func makeDemo(random *rand.Rand, i, customers int, at time.Time) demoTranscript {
	topic := demoTopics[random.IntN(len(demoTopics))]
	order := fmt.Sprintf("A-%05d", 10000+random.IntN(90000))
	t := demoTranscript{
		ID: fmt.Sprintf("demo-%05d", i+1), CreatedAt: stamp(at), EndUser: makeCustomer(random.IntN(customers)),
		Attributes: map[string]any{"order_number": order, "contact_reason": topic.reason},
	}
	for turn, line := range topic.lines {
		m := demoMessage{Role: "user", Text: line, CreatedAt: stamp(at)}
		if turn%2 == 1 {
			m.Role, m.Format = "bot", "markdown"
		}
		if turn < 2 && containsVerb(line) {
			m.Text = fmt.Sprintf(line, order)
		}
		t.Messages = append(t.Messages, m)
		at = at.Add(time.Duration(2+random.IntN(40)) * time.Second)
	}
	t.ClosedAt = stamp(at)
	switch i {
	case demoAnonymous:
		t.EndUser = nil
	case demoPartial:
		t.Messages[1].Attachments = []demoAttachment{{URL: "https://" + sandbox.InvalidHost + "/label.pdf", Name: "Label"}}
	case demoRejected:
		t.Messages[1].CreatedAt = t.Messages[1].CreatedAt[:len("2006-01-02T15:04:05")]
	case demoStillOpen:
		t.ClosedAt = ""
	}
	return t
}

func containsVerb(line string) bool {
	for i := range len(line) - 1 {
		if line[i] == '%' && line[i+1] == 's' {
			return true
		}
	}
	return false
}

// makeCustomer makes the n-th customer: what is known of them differs.
func makeCustomer(n int) *demoEndUser {
	first := demoFirstNames[n%len(demoFirstNames)]
	last := demoLastNames[n/len(demoFirstNames)%len(demoLastNames)]
	u := &demoEndUser{Name: first + " " + last}
	if n%3 != 1 {
		u.ExternalID = fmt.Sprintf("c-%04d", n+1)
	}
	if n%3 != 2 {
		u.Email = fmt.Sprintf("customer%d@shop.example", n+1)
	}
	if n%4 == 2 {
		u.Phone = fmt.Sprintf("+45 20 %02d %02d %02d", n/10000%100, n/100%100, n%100)
	}
	return u
}

func stamp(t time.Time) string { return t.Format("2006-01-02T15:04:05Z07:00") }
