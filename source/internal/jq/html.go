package jq

import (
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// HTMLText returns the text of an HTML fragment as a browser would show it without styles: blocks on lines of their own, the address of a link
// behind its text, nothing of scripts, styles and comments. SSML, which has the same syntax, becomes what is spoken.
func HTMLText(fragment string) string {
	if !strings.ContainsAny(fragment, "<&") {
		return fragment
	}
	body := &html.Node{Type: html.ElementNode, Data: "body", DataAtom: atom.Body}
	nodes, err := html.ParseFragment(strings.NewReader(fragment), body)
	if err != nil {
		return fragment
	}
	var t textBuilder
	for _, n := range nodes {
		t.node(n, false)
	}
	return strings.Trim(t.String(), "\n ")
}

type textBuilder struct {
	strings.Builder
	space bool // a blank is due before the next word
	lines int  // line feeds that are due
}

// blocks begin and end a line.
var blocks = map[string]int{"p": 2, "div": 1, "li": 1, "tr": 1, "ul": 1, "ol": 1, "table": 1, "blockquote": 1, "pre": 1, "section": 1, "article": 1, "header": 1, "footer": 1,
	"h1": 2, "h2": 2, "h3": 2, "h4": 2, "h5": 2, "h6": 2, "hr": 1, "dt": 1, "dd": 1, "s-": 1}

func (t *textBuilder) node(n *html.Node, pre bool) {
	switch n.Type {
	case html.TextNode:
		if pre {
			t.word(n.Data)
			return
		}
		t.text(n.Data)
		return
	case html.ElementNode:
	default:
		return
	}
	switch n.Data {
	case "script", "style", "head", "title", "template", "noscript", "svg", "iframe":
		return
	case "br":
		t.lines++
		return
	case "img":
		t.text(attr(n, "alt"))
		return
	}
	block := blocks[n.Data]
	t.lines = max(t.lines, block)
	if n.Data == "li" {
		t.word("- ")
	}
	for child := n.FirstChild; child != nil; child = child.NextSibling {
		t.node(child, pre || n.Data == "pre")
	}
	if href := attr(n, "href"); n.Data == "a" && webURL(href) != nil && !strings.Contains(nodeText(n), strings.TrimSuffix(href, "/")) {
		t.space = true
		t.word("(" + href + ")")
	}
	if n.Data == "td" || n.Data == "th" {
		t.space = true
	}
	t.lines = max(t.lines, block)
}

// text adds a text whose white space means one blank.
func (t *textBuilder) text(s string) {
	isSpace := func(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f' }
	words := strings.FieldsFunc(s, func(r rune) bool { return r < 0x80 && isSpace(byte(r)) })
	if len(words) == 0 {
		t.space = t.space || s != ""
		return
	}
	t.space = t.space || isSpace(s[0])
	for i, word := range words {
		t.space = t.space || i > 0
		t.word(word)
	}
	t.space = isSpace(s[len(s)-1])
}

// word adds a word, behind the line feeds or the blank that are due.
func (t *textBuilder) word(word string) {
	switch {
	case t.Len() == 0:
	case t.lines > 0:
		t.WriteString(strings.Repeat("\n", min(t.lines, 2)))
	case t.space && !strings.HasSuffix(t.String(), " "):
		t.WriteByte(' ')
	}
	t.lines, t.space = 0, false
	t.WriteString(word)
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func nodeText(n *html.Node) string {
	if n.Type == html.TextNode {
		return n.Data
	}
	var b strings.Builder
	for child := n.FirstChild; child != nil; child = child.NextSibling {
		b.WriteString(nodeText(child))
	}
	return b.String()
}
