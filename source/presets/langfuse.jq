# title: Langfuse, traces or observations
# record: a trace, or a row of the observations API v2 or of the blob storage export
# export: GET /api/public/traces/{id}, GET /api/public/v2/observations with fields=core,basic,io,metadata, or the blob storage export
# external_id: userId
# other_ids: email, phone, name and their like in metadata
# lists: if has("projectId") and has("createdAt") and (has("environment") or has("public")) and ([has("input", "traces", "traceId", "timestamp", "startTime")] | any | not) then "it is a session without its traces: export the traces" else null end
# marks: input output
# detect: type == "object" and has("input") and has("output") and (has("sessionId") or has("session_id")) and (has("timestamp") or has("startTime") or has("start_time")) and (has("traceId") or has("trace_id") or has("latency") or has("observations") or has("bookmarked") or has("environment"))
# group_by: (.sessionId // .session_id | known) // (.traceId // .trace_id // .id | known)
# sort_by: (.timestamp // .startTime // .start_time) | if type == "string" and test("^[0-9-]+[ T][0-9:.]+$") then . + "Z" else . end | totime
# closed: idle 1h
# A turn is a trace, or an observation without a parent or with isRootObservation: the last message of the customer in its input, if nobody answered
# it there, and what its output says. All that is within a turn is dropped, as are evaluations, experiments, and roots of other types than SPAN,
# GENERATION, AGENT and CHAIN.
# Fetch observations with fields=core,basic,io,metadata, so that they have the session, and with expandMetadata, as metadata is cut off else.
# If an export has both the traces and their observations, the traces are taken.
# All turns of a session are one chat. A trace without a session is a chat by itself. A session counts as closed if nobody wrote for an hour before the
# end of the data.
# Input and output are what your application put there. This reads texts, messages with a role, LangChain's messages, {messages}, {choices}, and the
# fields query, question, message and their like. It does not take prompt, which may hold more than the customer wrote. What it cannot read is
# dropped and counted: add your fields to asked_in or answered_in in a copy of this program.
# The customer is userId. E-mail address, phone number and name come from email, phone, name and their like in metadata.
def asked_in: ["query", "question", "message", "text", "input", "user_input", "userInput", "user_message", "userMessage", "user_query", "userQuery", "human_input", "chat_input", "utterance", "content"];
def answered_in: ["answer", "output", "response", "reply", "message", "text", "completion", "content", "output_text"];
def object: json | if type == "object" then . else {} end;
def time: known | if . == null then null elif test("^[0-9-]+[ T][0-9:.]+$") and (test("^[0-9.]+$") | not) then . + "Z" | totime else totime end;
def start: .timestamp // .startTime // .start_time | time;
def trace_id: if has("traceId") or has("trace_id") then .traceId // .trace_id else .id end | known;
def observed: has("traceId") or has("trace_id") or has("startTime") or has("start_time");
def root: (.isRootObservation // .is_root_observation | IN(true, "true")) or (.parentObservationId // .parent_observation_id | known) == null;
# a value that may be JSON in a string; any other string stays as it is
def unpacked: if type == "string" and test("^\\s*[\\[{]") then . as $text | (try fromjson catch $text) else . end;
# what LangChain wraps a message in
def bare: if type != "object" then . elif (.kwargs | type) == "object" and .lc != null then .kwargs elif (.data | type) == "object" and (.role == null) and (.type | IN("human", "ai", "system", "tool")) then .data + {type: .type} else . end;
def role: (.role // .type) | if type == "string" then ascii_downcase else "" end
  | if IN("user", "human", "customer", "humanmessage") then "user" elif IN("assistant", "ai", "bot", "model", "aimessage", "aimessagechunk") then "bot" elif IN("system", "developer", "systemmessage") then "system" else "other" end;
def is_message: type == "object" and (has("content") or has("parts")) and ((.role | type) == "string" or (.type | IN("human", "ai", "system", "tool", "HumanMessage", "AIMessage", "AIMessageChunk", "SystemMessage", "ToolMessage")));
def clean: if type == "string" then gsub("@@@langfuseMedia:[^@]*@@@"; "") | said else null end;
# the visible texts of a content: a text, or parts of the known types
def words: unpacked | if type == "string" then clean
  elif type == "array" then [.[] | if type == "string" then clean elif type == "object" and (.type | IN("text", "input_text", "output_text", null)) then (.text | if type == "object" then .value else . end | clean) else null end] | lines
  elif type == "object" then .text | clean else null end;
def texts: (.content | words) // (.parts | words);
def links: [.content, .parts | unpacked | arrays | .[] | objects | (.image_url, .file_url, .url) | if type == "object" then .url else . end | file(.; null) | values];
def said_by: {text: texts, files: links} | if .text == null and .files == [] then null else . end;
def plain: clean | if . == null then null else {text: ., files: []} end;
# the messages of a value: null if it has none
def talk: unpacked | if type == "array" then if any(.[]; bare | is_message) then . else null end
  elif type != "object" then null
  else bare | if is_message then [.] elif (.messages | unpacked | type) == "array" then .messages | talk elif (.prompt | unpacked | type) == "array" then .prompt | talk else null end end;
def named(names): . as $o | first(names[] | $o[.] | values, empty) // null;
# what is new of the customer in an input: {said} with the message or null, and {before} with those before it that nobody answered, or {unknown}
def asked: unpacked | talk as $talk
  | if $talk != null then
      first(range($talk | length; 0; -1) | select($talk[. - 1] | bare | is_message and (role | IN("bot", "other")))) // 0
      | [$talk[.:][] | bare | select(is_message and role == "user")] as $new
      | {said: (if $new == [] then null else $new | last | said_by end), before: [$new[:-1][] | texts | values]}
  elif type == "string" then {said: plain}
    elif type == "array" then if length == 1 and (.[0] | type) == "string" then {said: (.[0] | plain)} else {unknown: true} end
    elif type != "object" then {unknown: true}
    elif (.kwargs | type) == "object" and (.args | type) == "array" then
      if .kwargs != {} and (.kwargs | asked | .unknown != true) then .kwargs | asked else .args | asked end
    else named(asked_in) as $v | if $v == null then {unknown: true} else $v | asked end end;
def answered: unpacked | (if type == "object" and (.choices | type) == "array" then .choices[0] | object | .message // {content: .text, role: "assistant"} else . end) | talk as $talk
  | if $talk != null then
      first(range($talk | length; 0; -1) | select($talk[. - 1] | bare | is_message and role == "user")) // 0
      | [$talk[.:][] | bare | select(is_message and role == "bot") | said_by | values] | {said: last}
    elif type == "string" then {said: plain}
    elif type != "object" then {unknown: true}
    else named(answered_in) as $v | if $v == null then {unknown: true} else $v | answered end end;
def spoken($part; who; $format; at; empty_kind; unknown_kind):
  if $part == null then empty
  elif $part.unknown == true then dropped(unknown_kind)
  elif $part.said == null then dropped(empty_kind)
  else {text: $part.said.text, attachments: $part.said.files, format: $format} | message(who; at) end;
def nothing: unpacked | . == null or . == "" or . == [] or . == {};
# input and output of a trace are its root's if they are empty
def filled: if (.input | nothing) and (.output | nothing) and (.observations | type) == "array"
  then ([.observations[] | objects | select(root) | select((.input | nothing | not) or (.output | nothing | not))] | first // {}) as $root | . + {input: $root.input, output: $root.output} else . end;
def turn($sent): .asked as $asked | start as $start
  | ((.endTime // .end_time | time) // ([.observations | arrays | .[] | objects | .endTime // .end_time | time | values] | max) // $start) as $end
  | ($asked.before // [] | .[] | select(. as $text | any($sent[]; . == $text) | not) | dropped("earlier message of the customer in an input")),
    spoken($asked; "user"; null; $start; "input without new words of the customer"; "input of an unknown form"),
    spoken(if .output | nothing then null else .output | answered end; "bot"; "markdown"; $end; "output without words of the bot"; "output of an unknown form");
def row_id: (.id | known) as $id | if $id == null then null else (if observed then "o" else "t" end) + $id end;
def kept_from($traces; $last): . as $row | (.type | known // "" | ascii_upcase) as $type | (.environment | known // "") as $environment
  | if row_id != null and $last[row_id] != .n then {n, drop: "repeated row"}
    elif $environment | startswith("langfuse") or . == "sdk-experiment" then {n, drop: "evaluation or experiment"}
    elif observed | not then .
    elif root | not then {n, drop: "child observation"}
    elif $type | IN("", "SPAN", "GENERATION", "AGENT", "CHAIN") | not then {n, drop: $type}
    elif (trace_id | . != null and $traces[.] == true) then {n, drop: "observation of a trace that is there itself"}
    else . end;
if any(.[]; type != "object") then foreign("it is no object") else . end
| if any(.[]; has("input") or has("output") or observed or has("sessionId") | not) then foreign("it has no input and no output") else . end
| if any(.[]; observed and ([has("sessionId", "session_id")] | any | not)) then refuse("its observations have no sessionId: fetch them with fields=core,basic,io,metadata, or use the traces") else . end
| if any(.[]; observed and root and ([has("input", "output")] | any | not)) then refuse("its observations have no input and output: fetch them with fields=core,basic,io,metadata") else . end
| (.[0] | (.sessionId // .session_id | known) // trace_id) as $id
| [to_entries[] | .key as $n | .value + {n: $n}] as $rows
| ([$rows[] | {key: row_id, value: .n} | select(.key != null)] | from_entries) as $last
| ([$rows[] | select(observed | not) | select(filled | (.input | nothing | not) or (.output | nothing | not)) | {key: trace_id, value: true} | select(.key != null)] | from_entries) as $traces
| [$rows[] | kept_from($traces; $last) | if has("drop") then . else filled | .asked = (.input | if nothing then null else asked end) end] as $all
| [$all[] | select(has("drop") | not)] as $turns
| if $turns != [] and all($turns[]; (.input | nothing) and (.output | nothing)) and any($turns[]; .observations | arrays | any(.[]; type == "string")) then
    refuse("its traces have no input and output, and their observations only as ids, as lists of traces return them: get each with GET /api/public/traces/{id}, or export the observations") else . end
| if $turns == [] then $all[] | dropped(.drop)
  else
    [$turns[] | .metadata | object] as $facts
    | [$turns[] | .asked | if . == null then empty else .said | values | .text | values end] as $sent
    | {id: $id,
       end_user: ({external_id: first(($turns[] | .userId // .user_id | person | values), null),
         email: first(($facts[] | .email, .user_email, .userEmail, .customer_email | email | values), ($turns[] | .userId // .user_id | email | values), null),
         phone: first(($facts[] | .phone, .phone_number, .phoneNumber, .user_phone, .customer_phone | phone | values), null),
         name: first(($facts[] | .user_name, .userName, .full_name, .customer_name, .name | person | values), null)} | compact),
       attributes: ({tags: ([$turns[] | .tags | json | arrays | .[] | known | values] | unique | if . == [] then null else . end)} | compact),
       messages: [$all[] | if has("drop") then dropped(.drop) else turn($sent) end]}
  end
