# title: Voiceflow transcripts
# record: a transcript with its logs, as GET /v1/transcript/{id} returns it
# export: GET /v1/transcript/{id}, of each transcript
# external_id: property user_id, customer_id or external_id; else sessionID (*)
# other_ids: properties email, phone, name
# lists: if has("sessionID") and (has("projectID") or has("environmentID") or has("_id") or has("createdAt")) and ([has("logs", "turns", "transcript")] | any | not) then "it is a transcript without its logs, as searches return it: get each with GET /v1/transcript/{id}" else null end
# detect: (if (.transcripts | type) == "array" then .transcripts[0] else . end) | (if type == "object" and (.transcript | type) == "object" then .transcript else . end) | type == "object" and has("sessionID") and ([.logs, .turns, .transcript] | any(type == "array"))
# each: if type == "object" and (.transcripts | type) == "array" then .transcripts[] else . end
# closed: idle 24h
# Export each transcript by itself: searches return transcripts without their logs. {"transcript": {…}} is taken as well as the transcript alone.
# The turns of the retired API v2 are taken as well, if they are the field turns or transcript of the object with _id and sessionID.
# A transcript is closed at endedAt. Without that it counts as closed if nobody wrote for a day before the end of the data.
# The customer's e-mail address, phone number, name and id are taken from the properties email, phone, name and user_id and their like. Without
# any of them but a name, the id is the session's.
# A click shows as the label of its button. Buttons that follow a message of the bot become a part of it. Launches, events, and traces of the
# kinds debug, flow, block, path, knowledgeBase and of your own kinds are dropped.
def object: json | if type == "object" then . else {} end;
def list: json | if type == "array" then . else [] end;
def time: known | if . == null then null else totime end;
# sorts by time; what has none stays behind what was before it, and of equal times the order is kept
def ordered(at): (if length > 1 and (first | at) != null and (last | at) != null and (first | at) > (last | at) then reverse else . end)
  | [foreach .[] as $m (null; ($m | at) // .; {at: ., $m})] | sort_by(.at) | map(.m);
# rich text, with the addresses of links
def rich: if type != "object" then ""
  elif (.text | type) == "string" then .text
  else (.children | list) as $children
    | ([$children[] | rich] | join(if any($children[]; type == "object" and (has("text") or .type == "link") | not) then "\n" else "" end)) as $text
    | (if .type == "link" then .url | weburl else null end) as $url
    | if $url != null and ($text | contains($url | rtrimstr("/")) | not) then "\($text) (\($url))" else $text end end;
def blocks: json | if type == "object" then .content | json else . end | if type == "array" then . else [] end;
# the words of a payload: message is plain, but lacks the addresses of links
def written: if type == "string" then said
  elif type != "object" then null
  else ([.message, .text | said | values] | first) as $plain | (.slate | blocks) as $rich
    | if $plain == null or ([$rich | .. | objects | select(.type == "link")] != []) then ([$rich[] | rich] | join("\n") | said) // $plain else $plain end end;
def speech: written | if . != null and test("<[A-Za-z/!][^>]*>") then ssml2text | said else . end;
def caption: if type != "object" then said
  else [.name, .label, .title, (.request | object | .payload | if type == "object" then .label, .query else . end) | said | values] | first end;
def buttons: if type == "object" then .buttons // .choices | list else [] end;
def choices: [buttons[] | caption | values | "- " + .] | lines;
def picture: (.imageUrl // .image) | if type == "object" then .largeImageUrl // .smallImageUrl // .url else . end;
def cards: if type != "object" then [] elif .cards != null then .cards | list | map(objects) else [.card // . | objects] end;
def cardtext: [(.title | written), (.description // .text | written), choices] | lines;
# {kind, type, payload, at}: the current API has data, as an object or as JSON, the retired one payload
def log: if type != "object" then {kind: null}
  elif .format | IN("request", "trace") then (.payload | object) as $p | {kind: (if .format == "request" then "action" else "trace" end), type: ($p.type // .type), payload: $p.payload, at: (.startTime | time)}
  else (.data | json) as $d
    | if ($d | type) == "object" then {kind: .type, type: $d.type, payload: $d.payload, at: ((.createdAt | time) // ($d.time | time))}
      elif .data == null then {kind: .type, type: null, at: (.createdAt | time)}
      elif .type | IN("action", "trace") then refuse("the data of a log is not JSON, so what was said cannot be read: correct the record")
      else {kind: .type, type: null, at: (.createdAt | time)} end end
  | .type = (.type | known) | .kind = (.kind | known);
# the payload, unless it is text that somebody wrote
def body: .payload as $p | $p | if type == "string" then object | if . == {} then $p else . end else . end;
def action($titles): .type as $type | .at as $at | body as $p
  | if $type == null then dropped("action without a type")
    elif $type | IN("launch", "event", "no-reply") then dropped($type)
    elif $type == "text" then {text: (.payload | if type == "object" then [.text, .message, .query, .label | said | values] | first else said end)} | message("user"; $at)
    else ((if ($p | type) == "object" then [$p.label, $p.query | said | values] | first elif $type | startswith("path-") then $p | said else null end) // $titles[$type]) as $text
      | if $text != null then {text: $text} | message("user"; $at)
        elif $type == "intent" then dropped("user without text")
        elif $type | startswith("path-") then dropped("click without a label")
        else dropped($type) end end;
def sent($text; $files; $format; $at): [$files[] | file(.url; .name) | values] as $good
  | if $text == null and $good == [] and $files != [] then dropped("attachment without a web address")
    else {text: $text, attachments: $good, format: (if $text == null then null else $format end)} | message("bot"; $at) end;
def trace: .type as $type | .at as $at | body as $p
  | if $type == null then dropped("trace without a type")
    elif $type == "text" then sent($p | written; []; if ($p | type) == "object" and ($p.ai == true or $p.slate == null) then "markdown" else null end; $at)
    elif $type | IN("speak", "audio") then ($p | speech) as $text | [$p | objects | {url: .src} | select(.url != null)] as $files
      | if $text == null and $files == [] then dropped($type) else sent($text; $files; null; $at) end
    elif $type == "choice" then sent([($p | written), ($p | choices)] | lines; []; null; $at)
    elif $type == "visual" then sent(null; [$p | objects | {url: picture} | select(.url != null)]; null; $at)
    elif $type | IN("card", "cardV2", "carousel") then
      sent([$p | cards[] | cardtext] | lines; [$p | cards[] | {url: picture, name: .title} | select(.url != null)]; null; $at)
    else dropped($type) end;
def plain_name: ascii_downcase | gsub("[^a-z0-9]"; "");
def property($all; names): [$all[] | select(.name | IN(names)) | .value];
if type != "object" then foreign("it is no object with logs") else . end
| (if (.transcript | type) == "object" then .transcript else . end) as $t
| ([$t.logs, $t.turns, ($t.transcript | arrays) | values] | first | json) as $logs
| if ($logs | type) == "array" then .
  elif $logs != null or ($t | has("logs")) then refuse("its logs are no array: export the transcript again")
  elif ($t | has("sessionID")) then refuse("its logs are missing, as searches return none: export each transcript by itself")
  else foreign("it has no logs") end
| [$logs[] | log] as $all
| ([$all[] | select(.kind == "trace") | body | (., cards[]) | buttons[] | objects | {key: (.request | object | .type | known), value: caption} | select(.key != null and .value != null and (.key | IN("text", "intent") | not))] | from_entries) as $titles
| [foreach ($all | ordered(.at))[] as $log (0; if $log.kind == "action" then . + 1 else . end; . as $turn | $log
    | (if .kind == "action" then action($titles) elif .kind == "trace" then trace else dropped(if .kind == null then "log without a type" else .kind end) end)
    | {turn: $turn, buttons: ($log.type == "choice"), message: .})] as $said
# buttons belong to what the bot said before them
| [foreach ($said[] | select(.message | has("_drop") | not)) as $m ({n: 0}; {turn: $m.turn, bot: ($m.message.role == "bot"), n: (if .bot and $m.message.role == "bot" and $m.buttons and .turn == $m.turn then .n else .n + 1 end)}; {n, message: $m.message})]
| (group_by(.n) | map(map(.message) | .[0] + (if length > 1 then {text: (map(.text) | lines)} else {} end))) as $messages
| [$t.properties | list | .[] | objects | select((.name | type) == "string") | {name: (.name | plain_name), value: .value}] as $properties
| {id: (($t.id // $t._id // $t.transcriptID) | known), created_at: ($t.createdAt | time), closed_at: ($t.endedAt | time),
   end_user: ({external_id: (([property($properties; "userid", "customerid", "externalid")[] | person | values] | last)),
     email: ([property($properties; "email", "useremail", "customeremail", "emailaddress")[] | email | values] | last),
     phone: ([property($properties; "phone", "phonenumber", "userphone", "customerphone")[] | phone | values] | last),
     name: (([property($properties; "name", "fullname", "username", "customername")[] | person | values] | last) // ($t.user | object | .name | person))} | compact | given_id(""; $t.sessionID | person)),
   messages: ($messages + [$said[] | .message | select(has("_drop"))])}
| compact
