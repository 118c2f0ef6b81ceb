# said: a string without white space around it, or null if nothing is left
def said: if type == "string" then (ltrimstr("\ufeff") | if test("^\\s*$") then null else . end) else null end;
# known: a value that identifies somebody, as a string, or null: null, NULL, none, undefined, and empty texts identify nobody
def known: if type == "number" then tostring
  elif type == "string" then (gsub("^\\s+|\\s+$"; "") | if . == "" or . == "\\N" or (ascii_downcase | . == "null" or . == "none" or . == "undefined" or . == "nan") then null else . end)
  else null end;
# dropped(kind): a message that is not sent, but counted under the name of its kind
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
