package source

import (
	"errors"
	"strings"
)

// query is the user's SQL without what ends it, cut where it mentions @since.
type query struct{ parts []string }

func (q query) usesSince() bool { return len(q.parts) > 1 }

// text returns the SQL with a placeholder, such as $1, for @since.
func (q query) text(placeholder string) string { return strings.Join(q.parts, placeholder) }

// parseQuery finds @since outside of literals, quoted names and comments, and the end of the statement: semicolons,
// white space and comments behind it go.
func parseQuery(sql string) (query, error) {
	const mention = "@since"
	var q query
	from, end := 0, 0 // the start of the current part, the end of the last token
	closed := false   // a semicolon was seen
	for i := 0; i < len(sql); {
		next, kind, err := nextToken(sql, i)
		if err != nil {
			return query{}, err
		}
		switch {
		case kind == tokenSpace:
		case sql[i] == ';':
			closed = true
		case closed:
			return query{}, errors.New("the query holds more than one statement: keep the select, without a semicolon inside")
		default:
			if kind == tokenOther && isMention(sql, i, mention) {
				q.parts = append(q.parts, sql[from:i])
				next = i + len(mention)
				from = next
			}
			end = next
		}
		i = next
	}
	if end == 0 {
		return query{}, errors.New("the query is empty: write a select that returns id, closed_at and messages")
	}
	q.parts = append(q.parts, sql[from:end])
	return q, nil
}

// isMention reports whether sql mentions a parameter at i: its whole name, and not as part of an operator such as @@.
func isMention(sql string, i int, name string) bool {
	end := i + len(name)
	return end <= len(sql) && strings.EqualFold(sql[i:end], name) &&
		(end == len(sql) || !isNameByte(sql[end])) && (i == 0 || sql[i-1] != '@')
}

type tokenKind int

const (
	tokenSpace tokenKind = iota // white space and comments
	tokenQuoted
	tokenOther
)

// nextToken returns the end of the token that starts at i, as far as this package needs to tell tokens apart.
func nextToken(sql string, i int) (end int, kind tokenKind, err error) {
	rest := sql[i:]
	switch c := sql[i]; {
	case strings.IndexByte(" \t\r\n\f\v", c) >= 0:
		return i + 1, tokenSpace, nil
	case strings.HasPrefix(rest, "--"):
		if n := strings.IndexAny(rest, "\r\n"); n >= 0 {
			return i + n + 1, tokenSpace, nil
		}
		return len(sql), tokenSpace, nil
	case strings.HasPrefix(rest, "/*"):
		end, err = afterComment(sql, i)
		return end, tokenSpace, err
	case c == '\'' || c == '"':
		end, err = afterQuote(sql, i, false)
		return end, tokenQuoted, err
	case c == '$':
		return afterDollar(sql, i)
	case isNameByte(c):
		end = i + 1
		for end < len(sql) && isNameByte(sql[end]) {
			end++
		}
		if end < len(sql) && sql[end] == '\'' && strings.EqualFold(sql[i:end], "e") {
			end, err = afterQuote(sql, end, true)
			return end, tokenQuoted, err
		}
		return end, tokenOther, nil
	}
	return i + 1, tokenOther, nil
}

// isNameByte reports whether a byte may stand in a name or a number.
func isNameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '$' || c >= 0x80
}

// afterComment returns the end of a comment that may hold others.
func afterComment(sql string, i int) (int, error) {
	depth := 0
	for i < len(sql) {
		switch rest := sql[i:]; {
		case strings.HasPrefix(rest, "/*"):
			depth++
			i += 2
		case strings.HasPrefix(rest, "*/"):
			depth--
			i += 2
			if depth == 0 {
				return i, nil
			}
		default:
			i++
		}
	}
	return 0, errors.New("a comment in the query has no end: add */")
}

// afterQuote returns the end of a literal or a quoted name. A doubled quote reads as two of them, one after the other.
func afterQuote(sql string, i int, escapes bool) (int, error) {
	quote := sql[i]
	for i++; i < len(sql); i++ {
		switch {
		case sql[i] == quote:
			return i + 1, nil
		case sql[i] == '\\' && escapes:
			i++
		}
	}
	return 0, errors.New("a quote in the query has no end: add the closing quote")
}

// afterDollar returns the end of a dollar-quoted literal. Numbered parameters are refused: one would be taken for ours.
func afterDollar(sql string, i int) (end int, kind tokenKind, err error) {
	for end = i + 1; end < len(sql) && sql[end] != '$' && isNameByte(sql[end]); end++ {
	}
	if end > i+1 && sql[i+1] >= '0' && sql[i+1] <= '9' {
		return 0, 0, errors.New("the query has a numbered parameter such as $1: only @since can be used")
	}
	if end == len(sql) || sql[end] != '$' {
		return i + 1, tokenOther, nil
	}
	tag := sql[i : end+1]
	n := strings.Index(sql[end+1:], tag)
	if n < 0 {
		return 0, 0, errors.New("a dollar quote in the query has no end: add the closing " + tag)
	}
	return end + 1 + n + len(tag), tokenQuoted, nil
}
