package source

import (
	"fmt"
	"strings"
)

func (d *decoder) endUser(value []byte) (u EndUser, failure *RejectError) {
	if !given(value) {
		return u, nil
	}
	if value[0] != '{' {
		return u, reject(RejectInvalidField, "end_user is not an object: write an object with external_id, email, phone and name")
	}
	var externalID, email, phone, fullName []byte
	foreign := false
	all := members{value}
	for {
		name, value, ok := all.next()
		if !ok {
			break
		}
		switch string(name) {
		case "external_id":
			externalID = value
		case "email":
			email = value
		case "phone":
			phone = value
		case "name":
			fullName = value
		default:
			d.note("end_user.", name)
			foreign = true
		}
	}
	if foreign {
		if failure := twin(value, "end_user.", "end_user."); failure != nil {
			return u, failure
		}
	}
	for _, f := range []struct {
		name   string
		value  []byte
		digits bool // a number counts as its digits
		target *string
	}{
		{"external_id", externalID, true, &u.ExternalID},
		{"email", email, false, &u.Email},
		{"phone", phone, true, &u.Phone},
		{"name", fullName, false, &u.Name},
	} {
		if !given(f.value) {
			continue
		}
		text, ok := unquote(f.value)
		if !ok && f.digits && integer(f.value) {
			text, ok = string(f.value), true
		}
		if !ok {
			return u, reject(RejectInvalidField, "end_user.%s is not a string: correct it or leave it out", f.name)
		}
		*f.target = strings.TrimSpace(text)
	}
	return u, nil
}

func decodeAttributes(value []byte) (map[string]Value, *RejectError) {
	if !given(value) {
		return nil, nil
	}
	if value[0] != '{' {
		return nil, reject(RejectInvalidField, "attributes is not an object: write an object of names and values")
	}
	last := map[string][]byte{}
	var order []string
	all := members{value}
	for {
		raw, value, ok := all.next()
		if !ok {
			break
		}
		name := strings.ToValidUTF8(string(raw), "\uFFFD")
		if _, again := last[name]; !again {
			order = append(order, name)
		}
		last[name] = value
	}
	attributes := make(map[string]Value, len(last))
	for i, name := range order {
		raw := last[name]
		if !given(raw) {
			continue
		}
		v, ok := decodeAttribute(raw)
		if !ok {
			shown := fmt.Sprintf("number %d", i+1)
			if identifier([]byte(name)) {
				shown = name
			}
			return nil, reject(RejectInvalidAttribute, "attribute %s is not a string, number, boolean or array of strings: correct it or leave it out", shown)
		}
		attributes[name] = v
	}
	return attributes, nil
}

func decodeAttribute(value []byte) (v Value, ok bool) {
	switch value[0] {
	case '{':
		return v, false
	case '"':
		v.Text, ok = unquote(value)
		return v, ok
	case '[':
		v.List = []string{}
		all := elements{value}
		for {
			item, more := all.next()
			if !more {
				return v, true
			}
			text, ok := unquote(item)
			if !ok {
				return v, false
			}
			v.List = append(v.List, text)
		}
	}
	return Value{Text: string(value)}, true
}
