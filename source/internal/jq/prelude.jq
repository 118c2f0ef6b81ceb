# said: a string without white space around it, or null if nothing is left
def said: if type == "string" then (ltrimstr("\ufeff") | if test("^\\s*$") then null else . end) else null end;
# known: a value that identifies somebody, as a string, or null: null, NULL, none, undefined, and empty texts identify nobody
def known: if type == "number" then tostring
  elif type == "string" then (gsub("^\\s+|\\s+$"; "") | if . == "" or . == "\\N" or (ascii_downcase | . == "null" or . == "none" or . == "undefined" or . == "nan") then null else . end)
  else null end;
# dropped(kind): instead of a message or a transcript: it is not sent, but counted under the name of its kind
def dropped(kind): {_drop: (kind | tostring)};
# compact: an object without its null fields
def compact: with_entries(select(.value != null));
# lines: the strings of an array that say something, one a line; null if there are none
def lines: [.[]? | said | values] | if length == 0 then null else join("\n") end;
# file(url; name): an attachment, or null if the address is not on the web
def file(url; name): (url | weburl) as $url | if $url == null then null else {url: $url, name: (name | known)} | compact end;
# json: the value of a string that holds JSON; any other value as it is
def json: if type == "string" then (try fromjson catch null) else . end;
# card: the texts of a card with nested blocks, as Adaptive Cards have them
def card: [.. | objects | select(.type? == "TextBlock" or .type? == "TextRun") | .text | said | values] | lines;
# person: what identifies or names somebody, or null: Guest, Customer, anonymous and their like, [PII], and numbers that a spreadsheet rounded are nobody
def person: known | if . == null then null
  elif ascii_downcase | IN("guest", "customer", "anonymous", "anonymous user", "visitor", "user", "unknown", "unknown user", "n/a", "na", "-", "[pii]", "[redacted]") then null
  elif test("^[0-9]([.,][0-9]+)?[eE]\\+[0-9]+$") then null else . end;
# phone: a phone number without a prefix such as tel: or whatsapp:, or null
def phone: person | if . == null then null else sub("^(tel|sms|whatsapp):"; ""; "i") | if test("^\\+?[0-9][0-9 ()./-]{5,}$") then . else null end end;
# email: an e-mail address without mailto:, or null
def email: person | if . == null then null else sub("^mailto:"; ""; "i") | if test("^[^@\\s]+@[^@\\s]+$") then . else null end end;
# options: buttons, quick replies or choices as lines that begin with "- ", from strings or objects with title, label, text, name or value
def options: [.[]? | if type == "object" then [.title, .label, .text, .name, .value] | map(said | values) | first else said end | values | "- " + .] | lines;
# citations: a text without the marks that OpenAI's assistants put at what they quote
def citations: if type == "string" then gsub("【[^】]*】"; "") else . end;
# message(role; at): a message of what it gets, {text, attachments, format}, or dropped(role + " without text") if it has neither text nor attachments
def message(role; at): {role: role, created_at: at} + compact | if (.text | said) == null and ((.attachments // []) | length) == 0 then dropped(role + " without text") else compact end;
# foreign(lack): rejects a record as none of this format, saying what it lacks
def foreign(lack): error("not_a_transcript: " + lack);
# refuse(why): rejects a record that is of this format but cannot be imported
def refuse(why): error("refused: " + why);
# identity: who an object such as metadata names, from fields such as user_id, email, phone, name; to be added to an end_user
def identity: if type == "object" then {external_id: (field("external_id"; "user_id"; "customer_id"; "end_user_id"; "enduser_id"; "user"; "sub") | person), email: (field("email"; "user_email"; "customer_email"; "email_address") | email),
  phone: (field("phone"; "phone_number"; "user_phone"; "customer_phone") | phone), name: (field("name"; "full_name"; "user_name"; "customer_name"; "display_name") | person)} | compact else {} end;
# account: identity of a user object, which has an id of its own
def account: identity + (if type == "object" then {external_id: (.id | person)} | compact else {} end);
# oldest_first(time): a list that may be newest first, in the order of its times; of equal times the order is kept
def oldest_first(time): (if length > 1 and ((first | time) as $a | (last | time) as $b | $a != null and $b != null and $a > $b) then reverse else . end) | sort_by(time);
