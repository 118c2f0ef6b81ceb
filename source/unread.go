package source

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// unread is where a message without a text may have one that was not read. A chat is empty only if no message has such a place: otherwise
// what a customer wrote would be skipped without a word.
type unread struct {
	at    int
	field string // "" if nothing was left unread
	what  string // what is there, and what to do
	sure  bool   // the name of the field says that it is the text
}

func (u unread) reject() *RejectError {
	return reject(RejectInvalidField, "messages[%d]%s", u.at, u.what)
}

// unreadField looks at the fields of a message that are not known.
func unreadField(object []byte, i int) (u unread) {
	all := members{object}
	for {
		name, value, ok := all.next()
		if !ok {
			return u
		}
		shown := "another field"
		if identifier(name) {
			shown = string(name)
		}
		switch {
		case slices.Contains(messageFields, string(name)):
		case textLike(string(name), value):
			return unread{i, shown, fmt.Sprintf(" has no text, but %s has one: rename %s to text", shown, shown), true}
		case u.field == "" && holdsWords(string(name), value):
			u = unread{at: i, field: shown, what: fmt.Sprintf(" has no text, but %s holds words: rename it to text, or remove it if nobody in the chat wrote them", shown)}
		}
	}
}

// messageFields are the fields of a message that are known.
var messageFields = []string{"id", "role", "text", "content", "parts", "format", "created_at", "agent_id", "attachments"}

// textNames are what the text of a message is called elsewhere, as plainName returns it.
var textNames = []string{
	"text", "content", "parts", "body", "message", "msg", "utterance", "html", "markdown", "caption", "transcript", "messagetext", "messagebody", "textmessage", "messagecontent",
	"textbody", "bodytext", "plaintext", "plain", "textcontent", "contenttext", "inputtext", "question", "answer", "query", "response", "reply", "input", "output",
}

// textLike reports whether a field is the text of a message under another name.
func textLike(name string, value []byte) bool {
	if !slices.Contains(textNames, plainName(name)) {
		return false
	}
	text, ok := unquote(value)
	return ok && !blank(text) || value[0] == '[' && holdsWords("", value)
}

// aboutMessages are parts of the names of fields that are about a message, so that what they hold is not its text.
var aboutMessages = []string{
	"time", "date", "meta", "kwargs", "context", "debug", "trace", "usage", "name", "author", "sender", "from", "user", "agent", "channel", "source", "status", "state", "type",
	"lang", "locale", "device", "browser", "platform", "intent", "entit", "sentiment", "topic", "label", "tag",
}

// holdsWords reports whether a value holds what somebody may have written: several words, letters other than Latin ones, or the address of a
// file. One word alone may be an id or a kind.
func holdsWords(name string, value []byte) bool {
	plain := plainName(name)
	about := func(part string) bool { return strings.Contains(plain, part) }
	if slices.ContainsFunc(aboutMessages, about) || privatePart(plain) || strings.HasSuffix(name, "_at") || strings.HasSuffix(name, "At") {
		return false
	}
	switch value[0] {
	case '"':
		text, _ := unquote(value)
		return wordsIn(text)
	case '{':
		all := members{value}
		for {
			name, value, ok := all.next()
			if !ok {
				return false
			}
			if holdsWords(string(name), value) {
				return true
			}
		}
	case '[':
		all := elements{value}
		for {
			value, ok := all.next()
			if !ok {
				return false
			}
			if holdsWords("", value) {
				return true
			}
		}
	}
	return false
}

func wordsIn(text string) bool {
	for _, scheme := range []string{"http://", "https://", "data:"} {
		if len(text) > len(scheme) && strings.EqualFold(text[:len(scheme)], scheme) {
			return true
		}
	}
	words := 0
	for word := range strings.FieldsSeq(text) {
		if strings.ContainsFunc(word, func(r rune) bool { return r > unicode.MaxLatin1 && unicode.IsLetter(r) }) {
			return true
		}
		if strings.ContainsFunc(word, unicode.IsLetter) {
			words++
		}
	}
	return words > 1
}

// chatNames are what the messages of a chat are called elsewhere, as plainName returns it.
var chatNames = []string{"message", "msgs", "turns", "conversation", "transcript", "history", "chathistory", "messagehistory", "dialog", "dialogue", "utterances", "conversationparts", "interactions"}

// elsewhere returns the field of a record without messages that seems to hold its chat, "" if there is none.
func elsewhere(object []byte) string {
	all := members{object}
	for {
		name, value, ok := all.next()
		if !ok {
			return ""
		}
		if string(name) != "messages" && slices.Contains(append(chatNames, "messages"), plainName(string(name))) && holdsWords("", value) && identifier(name) {
			return string(name)
		}
	}
}
