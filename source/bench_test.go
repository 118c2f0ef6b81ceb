package source

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// typicalLine is a closed chat of nine messages of 100 bytes.
func typicalLine(id int) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `{"id":"t-%06d","created_at":"2025-11-19T08:00:00Z","closed_at":"2025-11-19T08:12:30Z",`, id)
	b.WriteString(`"end_user":{"external_id":"c-42","email":"ann@example.org","phone":"+4512345678","name":"Ann Lee"},"messages":[`)
	for i := range 9 {
		if i > 0 {
			b.WriteByte(',')
		}
		role := []string{"user", "bot"}[i%2]
		fmt.Fprintf(&b, `{"id":"%d","role":"%s","text":"%s","created_at":"2025-11-19T08:00:%02dZ"}`, i, role, strings.Repeat("word ", 20), i)
	}
	b.WriteString(`],"attributes":{"order_number":"1234","contact_reason":["payment","card"]}}`)
	return []byte(b.String())
}

func BenchmarkScan(b *testing.B) {
	line := typicalLine(1)
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		scan(line)
	}
}

func BenchmarkHash(b *testing.B) {
	line := typicalLine(1)
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		sha256.Sum256(line)
	}
}

func BenchmarkValid(b *testing.B) {
	line := typicalLine(1)
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		json.Valid(line)
	}
}

func BenchmarkDecode(b *testing.B) {
	line, now := typicalLine(1), time.Now()
	escaped := []byte(strings.ReplaceAll(string(line), "word word", `w\u00f8rd\nw\u00f8rd`))
	for name, line := range map[string][]byte{"plain": line, "escaped": escaped} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(line)))
			b.ReportAllocs()
			for b.Loop() {
				if _, failure := decode(line, now, nil); failure != nil {
					b.Fatal(failure)
				}
			}
		})
	}
}

// BenchmarkDecodeEncodingJSON is what encoding/json needs for the same line, without any of the checks.
func BenchmarkDecodeEncodingJSON(b *testing.B) {
	type transcript struct {
		ID        string            `json:"id"`
		CreatedAt string            `json:"created_at"`
		ClosedAt  string            `json:"closed_at"`
		EndUser   map[string]string `json:"end_user"`
		Messages  []struct {
			ID        string `json:"id"`
			Role      string `json:"role"`
			Text      string `json:"text"`
			CreatedAt string `json:"created_at"`
		} `json:"messages"`
		Attributes map[string]any `json:"attributes"`
	}
	line := typicalLine(1)
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		var t transcript
		if err := json.Unmarshal(line, &t); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	const lines = 20_000
	path := filepath.Join(b.TempDir(), "a.jsonl")
	var content []byte
	for i := range lines {
		content = append(append(content, typicalLine(i)...), '\n')
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		b.Fatal(err)
	}
	s, err := OpenJSONL(JSONLConfig{Paths: []string{path}})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		n := 0
		for _, err := range s.Read(context.Background(), time.Time{}) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != lines+1 {
			b.Fatal(n)
		}
	}
}
