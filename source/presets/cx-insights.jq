# title: Google CX Insights and Agent Assist, conversation data
# record: a conversation with its entries, in a file of its own
# marks: entries
# detect: (.entries | type == "array") and any(.entries[]; type == "object" and has("role") and has("start_timestamp_usec"))
# closed: file
# The record has no id: it is the name of its file, or, where many are in one file, the first time and the customer's number. Every customer has the same
# user_id, so they are anonymous. Times that count from the beginning of the conversation are refused, as they say no date.
def many: $file == "-" or ($file | test("\\.(jsonl|ndjson|jsonlines)(\\.[a-z0-9]+)?$"));
def stem: $file | split("/") | last | sub("\\.json(\\.(gz|zst|bz2))?$"; "");
def who: .role | if IN("CUSTOMER", "END_USER") then "user" elif . == "AUTOMATED_AGENT" then "bot" elif IN("AGENT", "HUMAN_AGENT") then "agent" else null end;
def micros: .start_timestamp_usec | if type == "string" then (try tonumber catch null) else . end;
if (.entries | type) != "array" then foreign("it has no entries") else . end
| if any(.entries[]; type == "object" and (micros // 0) > 0 and micros < 100000000000000) then refuse("its times count from the beginning of the conversation, so there is no date: export it with times in microseconds since 1970") else . end
| . as $all | ([.entries[] | select(type == "object")] | first) as $first
| {id: (if many then (if ($first | . != null and micros != null) then "\($first | micros)-\([.entries[] | select(who == "user") | .user_id] | first // 0)" else null end) else stem end),
   attributes: ({categories: ([.conversation_info | if type == "object" then .categories else null end | if type == "array" then .[] else empty end | .display_name? | known | values] | if . == [] then null else . end)} | compact),
   messages: [.entries[] | if type != "object" then refuse("an entry is not an object: correct the record") else who as $who | (.start_timestamp_usec | totime("us")) as $at
     | if $who == null then dropped(.role // "entry without role") else {text: (.text | said)} | message($who; $at) end end]}
