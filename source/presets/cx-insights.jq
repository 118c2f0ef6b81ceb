# title: Google CX Insights and Agent Assist, conversation data
# record: a conversation with its entries, each in a file of its own
# export: conversation data in JSON, a file each, as CX Insights and Agent Assist write it
# external_id: none
# other_ids: none: all customers are anonymous
# lists: if (.name | type == "string" and test("^projects/[^/]+/locations/[^/]+/conversations/")) and (has("entries") | not) then "it is a conversation of the Insights API, and not conversation data: export the JSON files that were given to CX Insights" else null end
# marks: entries
# detect: (.entries | type == "array") and ([.entries[] | select(type == "object" and has("role") and (has("start_timestamp_usec") or has("startTimestampUsec")))] | length > 0)
# closed: file
# The record has no id, so the name of its file without .json is the id: do not rename the files. Put only one conversation into a file whose name ends in .json.
# In JSON Lines (.jsonl, .ndjson) the id is the time of the first entry and the user_id of the first entry of a customer, which is the same for two chats that began
# in the same microsecond: add a field conversation_id to each record if you can, which is then the id.
# The user_id of an entry is 1 for every customer, so customers are anonymous.
# Times count microseconds since 1970. A conversation whose times count from its beginning, as in Google's examples, is refused, as it has no date.
# Only finished conversations are exported, so all are closed, at their last entry. Entries of other roles than AGENT, AUTOMATED_AGENT, CUSTOMER and END_USER are counted, and not sent.
def usec: .start_timestamp_usec // .startTimestampUsec;
def undated: usec | if type == "number" then . < 100000000000000 elif type == "string" then test("^\\s*-?[0-9]{1,14}([.][0-9]*)?\\s*$") else false end;
def role_of: .role | if type == "string" then ascii_upcase else null end
  | if IN("CUSTOMER", "END_USER") then "user" elif . == "AUTOMATED_AGENT" then "bot" elif IN("AGENT", "HUMAN_AGENT") then "agent" else null end;
def many: $file | . == "-" or test("[.](jsonl|ndjson|jsonlines)([.][a-z0-9]+)?$"; "i");
def stem: $file | split("/") | last | sub("[.](gz|zst|bz2)$"; ""; "i") | sub("[.]json$"; ""; "i") | known;
if (.entries | type) != "array" then foreign("it has no array of entries") else . end
| [.entries[] | if type == "object" then . else {_kind: "unknown entry"} end] as $entries
| if any($entries[]; undated) then refuse("its times count from the beginning of the conversation, so it has no date: export it with times in microseconds since 1970") else . end
| (.conversation_info // .conversationInfo) as $info
| {id: ((.conversation_id | known) // if many then ([$entries[] | usec | known | values] | first) as $first
       | if $first == null then null else $first + "-" + ([$entries[] | select(role_of == "user") | .user_id // .userId | known | values] | first // "0") end
     else stem end),
   attributes: ({categories: ([$info | if type == "object" then .categories else null end | if type == "array" then .[] else empty end | if type == "object" then .display_name // .displayName else null end | known | values]
     | if . == [] then null else . end)} | compact),
   messages: [$entries[] | role_of as $role | usec as $at | ($at | totime("us")) as $at
     | if has("_kind") then dropped(._kind)
       elif $role != null then {text: (.text | said)} | message($role; $at)
       elif .role == null then dropped("entry without role")
       else dropped("role " + (.role | if type == "string" then . else "of another type" end)) end]}
| compact
