package plan

import (
	"context"

	"dixa-import/importer/internal/remap"
	"dixa-import/importer/internal/session"
)

// Values is what a retry of attributes and tags would do.
type Values struct {
	Transcripts int64            `json:"transcripts"`                   // that have a conversation, and whose record is still the one that was imported
	Differing   int64            `json:"differing"`                     // those of them that lack something
	Attributes  map[string]int64 `json:"attributes"`                    // values to set, by the name of the transcripts' attribute
	Tags        int64            `json:"tags"`                          // to add
	Refused     map[string]int64 `json:"refused"`                       // values that cannot be set, of those that differ, by the name of the attribute
	Leftover    int64            `json:"leftover"`                      // attributes and tags that stay in Dixa although they would not be set now
	Changed     int64            `json:"changed"`                       // transcripts whose record has changed since: they are left alone
	Others      int64            `json:"not_imported"`                  // closed records that are not imported, or that another run works on
	Requests    int64            `json:"requests"`                      // to Dixa, without those at the start
	PerSecond   float64          `json:"requests_per_second,omitempty"` // what the configuration allows, 0: no limit
}

// SetAgain plans a retry of attributes and tags. It sends Dixa only read requests, and writes nothing.
func SetAgain(ctx context.Context, cfg session.Config) (Values, error) {
	p, err := New(cfg, 0)
	if err != nil {
		return Values{}, err
	}
	s := p.s
	defer s.Begin(ctx)()
	if err := s.Ask(s.Starting, s.AskOrganisation, s.ResolveAttributes, s.CheckNames); err != nil {
		return Values{}, err
	}
	if err := s.CheckBinding(s.Starting); err != nil {
		return Values{}, err
	}
	v := Values{Attributes: map[string]int64{}, Refused: map[string]int64{}, PerSecond: s.Rate}
	r := &remap.Reader{Session: s, Memory: p.memory, Known: p.known}
	err = r.Each(func(batch []remap.Transcript) error {
		for _, t := range batch {
			v.add(s, t)
			t.Held.Release()
		}
		return nil
	})
	if err != nil {
		return Values{}, s.CauseOf(err)
	}
	if err := s.Starting.Err(); err != nil {
		return Values{}, err
	}
	v.Transcripts, v.Changed, v.Others = r.Counts.Imported.Load(), r.Counts.Changed.Load(), r.Counts.Others.Load()
	return v, nil
}

func (v *Values) add(s *session.Session, t remap.Transcript) {
	v.Leftover += int64(t.Lacking.Leftover)
	if !t.Due() {
		return
	}
	v.Differing++
	for _, a := range s.Custom {
		if _, ok := t.Lacking.Values[a.ID]; ok {
			v.Attributes[a.Name]++
		}
	}
	for _, r := range t.Lacking.Refused {
		v.Refused[r.Attribute]++
	}
	v.Tags += int64(len(t.Lacking.Tags))
	v.Requests += int64(len(t.Lacking.Tags))
	if len(t.Lacking.Values) > 0 {
		v.Requests++
	}
}
