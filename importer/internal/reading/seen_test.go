package reading

import "testing"

func TestSeen(t *testing.T) {
	t.Parallel()
	s := NewSeen()
	for i, step := range []struct {
		what string
		got  bool
		want bool
	}{
		{"a done one", s.AddDone("a", 7), false},
		{"it again", s.AddDone("a", 7), true},
		{"it with other content", s.Add("a", 7), true},
		{"another one", s.Add("b", 8), false},
		{"it again", s.Add("b", 8), true},
		{"it, done meanwhile", s.AddDone("b", 8), true},
		{"one without a conversation", s.Add("c", 0), false},
		{"it again", s.Add("c", 0), true},
		{"it, complete meanwhile", s.AddDone("c", 1<<40), true},
		{"a done one with a large number", s.AddDone("d", 1<<62), false},
		{"it, asked for", s.Has("d", 1<<62), true},
		{"one without a conversation, asked for", s.Has("c", 0), true},
		{"an unknown one", s.Has("e", 0), false},
		{"an unknown one with a conversation", s.Has("e", 9), false},
	} {
		if step.got != step.want {
			t.Errorf("step %d, %s: got %v", i, step.what, step.got)
		}
	}
}
