package source

import "bytes"

// checked is how far a checker is.
type checked int

const (
	unfinished checked = iota // what came so far may be the beginning of a JSON value
	complete                  // the value is whole
	broken                    // this is not JSON
)

// What a checker waits for.
const (
	inValue    = iota // a value
	inElements        // a value, or the end of an array that is empty so far
	inMembers         // a name, or the end of an object that is empty so far
	inName            // a name
	inColon           // the colon behind a name
	inRest            // a comma or the end of the container
	inString
	inEscape
	inHex // one of the four digits of an escape
	inLiteral
	inNumber
)

// nested is the depth that encoding/json allows.
const nested = 10_000

// checker checks a JSON value by the rules of encoding/json while its bytes come in, in constant memory save for the nesting.
// A number that stands alone ends with the byte behind it.
type checker struct {
	state  int
	stack  []byte // the brackets that are open
	name   bool   // the string is a name
	left   string // of a literal
	number numberState
	hex    int
}

func (c *checker) reset() { c.state, c.stack = inValue, c.stack[:0] }

// feed checks the bytes that come next, and returns how many of them belong to the value, up to the one that broke it.
func (c *checker) feed(b []byte) (int, checked) {
	for i := 0; i < len(b); {
		if c.state == inString {
			if i = afterPlain(b, i); i == len(b) {
				break
			}
		}
		ch := b[i]
		if c.state < inString && (ch == ' ' || ch == '\n' || ch == '\t' || ch == '\r') {
			i++
			continue
		}
		if c.state == inNumber && !numberByte(ch) {
			if !c.number.ends() {
				return i, broken
			}
			if c.ended() {
				return i, complete
			}
			continue
		}
		if !c.step(ch) {
			return i, broken
		}
		i++
		if c.state == inRest && len(c.stack) == 0 {
			return i, complete
		}
	}
	return len(b), unfinished
}

// ended goes on behind a value, and reports whether that was all.
func (c *checker) ended() bool {
	c.state = inRest
	return len(c.stack) == 0
}

// step takes one byte, and reports whether it may stand there.
func (c *checker) step(ch byte) bool {
	switch c.state {
	case inValue, inElements:
		if ch == ']' && c.state == inElements {
			return c.closes('[')
		}
		return c.begins(ch)
	case inMembers, inName:
		if ch == '}' && c.state == inMembers {
			return c.closes('{')
		}
		c.state, c.name = inString, true
		return ch == '"'
	case inColon:
		c.state = inValue
		return ch == ':'
	case inRest:
		switch {
		case ch == ']':
			return c.closes('[')
		case ch == '}':
			return c.closes('{')
		case c.stack[len(c.stack)-1] == '{':
			c.state = inName
		default:
			c.state = inValue
		}
		return ch == ','
	case inString:
		switch {
		case ch == '"' && c.name:
			c.state = inColon
		case ch == '"':
			c.ended()
		case ch == '\\':
			c.state = inEscape
		default:
			return ch >= ' '
		}
		return true
	case inEscape:
		c.state, c.hex = inString, 4
		if ch == 'u' {
			c.state = inHex
			return true
		}
		return bytes.IndexByte([]byte(`"\/bfnrt`), ch) >= 0
	case inHex:
		if c.hex--; c.hex == 0 {
			c.state = inString
		}
		return ch >= '0' && ch <= '9' || ch|0x20 >= 'a' && ch|0x20 <= 'f'
	case inLiteral:
		ok := ch == c.left[0]
		if c.left = c.left[1:]; c.left == "" {
			c.ended()
		}
		return ok
	}
	return c.number.step(ch)
}

func (c *checker) begins(ch byte) bool {
	switch ch {
	case '{', '[':
		c.stack = append(c.stack, ch)
		c.state = inMembers
		if ch == '[' {
			c.state = inElements
		}
		return len(c.stack) <= nested
	case '"':
		c.state, c.name = inString, false
	case 't':
		c.state, c.left = inLiteral, "rue"
	case 'f':
		c.state, c.left = inLiteral, "false"[1:]
	case 'n':
		c.state, c.left = inLiteral, "ull"
	default:
		c.state, c.number = inNumber, numberStart
		return c.number.step(ch)
	}
	return true
}

func (c *checker) closes(bracket byte) bool {
	last := len(c.stack) - 1
	ok := c.stack[last] == bracket
	c.stack = c.stack[:last]
	c.ended()
	return ok
}

// numberState is where in a number a checker is.
type numberState int

const (
	numberStart numberState = iota
	afterMinus
	afterZero
	inInteger
	afterDot
	inFraction
	afterE
	afterSign
	inExponent
)

func numberByte(ch byte) bool {
	return ch >= '0' && ch <= '9' || ch == '-' || ch == '+' || ch == '.' || ch == 'e' || ch == 'E'
}

func (n numberState) ends() bool {
	return n == afterZero || n == inInteger || n == inFraction || n == inExponent
}

func (n *numberState) step(ch byte) bool {
	digit := ch >= '0' && ch <= '9'
	switch was := *n; {
	case was == numberStart && ch == '-':
		*n = afterMinus
	case was <= afterMinus && ch == '0':
		*n = afterZero
	case was <= afterMinus && digit, was == inInteger && digit:
		*n = inInteger
	case was == afterZero && ch == '.', was == inInteger && ch == '.':
		*n = afterDot
	case (was == afterDot || was == inFraction) && digit:
		*n = inFraction
	case was.ends() && was != inExponent && ch|0x20 == 'e':
		*n = afterE
	case was == afterE && (ch == '+' || ch == '-'):
		*n = afterSign
	case was >= afterE && digit:
		*n = inExponent
	default:
		return false
	}
	return true
}

// plain are the bytes that stand for themselves in a string.
var plain = func() (table [256]bool) {
	for i := range table {
		table[i] = i >= ' ' && i != '"' && i != '\\'
	}
	return table
}()

// afterPlain returns the index of the first byte from i on that does not stand for itself in a string.
func afterPlain(b []byte, i int) int {
	for i < len(b) && plain[b[i]] {
		i++
	}
	return i
}
