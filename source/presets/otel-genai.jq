# title: OpenTelemetry, GenAI spans and events with their content
# record: a span, a log event, or a batch of them in OTLP/JSON
# detect: [rows | select(type == "object" and has("conversation"))] | length > 0
# each: rows
# group_by: .conversation
# sort_by: [.start, .id]
# closed: idle 1h
# Content has to be recorded (OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT) in the form of the semantic conventions after 1.36, and gen_ai.conversation.id set: spans without either
# are dropped and counted. Each span repeats the conversation so far: only what is new is taken. Spans within another one that has messages, such as those of tools or
# guardrails, are dropped. A conversation counts as closed if nobody wrote for an hour before the end of the data.
def list(x): x | if type == "array" then . else [] end;
def plain: if type != "object" then . elif has("stringValue") then .stringValue elif has("intValue") then .intValue elif has("doubleValue") then .doubleValue elif has("boolValue") then .boolValue
  elif has("arrayValue") then [list(.arrayValue.values)[] | plain] elif has("kvlistValue") then ([list(.kvlistValue.values)[] | {(.key): (.value | plain)}] | add // {}) else . end;
def attributes: .attributes | if type == "array" then ([.[] | select(type == "object" and (.key | type) == "string") | {(.key): (.value | plain)}] | add // {}) elif type == "object" then . else {} end;
def messages: json | if type == "array" then . else [] end;
def row($a): ($a["gen_ai.conversation.id"] // $a["session.id"]) as $c
  | ($a["gen_ai.input.messages"] | messages) as $in | ($a["gen_ai.output.messages"] | messages) as $out
  | if $in == [] and $out == [] then dropped("span without messages") elif $c == null then dropped("span without a conversation")
    else {conversation: ($c | tostring), id: ((.spanId // .span_id // .id // "") | tostring), parent: (.parentSpanId // .parent_span_id // ""), trace: ((.traceId // .trace_id // "") | tostring), failed: ($a["error.type"] != null),
      start: ((.startTimeUnixNano // .timeUnixNano // .observedTimeUnixNano // .start_time // .startTime // .timestamp) | totime), end: ((.endTimeUnixNano // .timeUnixNano // .end_time // .endTime // .startTimeUnixNano // .start_time // .startTime // .timestamp) | totime),
      in: $in, out: $out, user: {external_id: ($a["user.id"] // $a["enduser.id"]), email: $a["user.email"], name: ($a["user.name"] // $a["user.full_name"])}} end;
def rows: if has("resourceSpans") or has("resourceLogs") or has("resourceMetrics") then
    (list(.resourceSpans)[] | list(.scopeSpans)[] | list(.spans)[] | attributes as $a | row($a)), (list(.resourceLogs)[] | list(.scopeLogs)[] | list(.logRecords)[] | attributes as $a | row($a)), (list(.resourceMetrics)[] | dropped("metrics"))
  else (attributes + (with_entries(select(.key | startswith("gen_ai.") or startswith("user.") or startswith("enduser.") or . == "error.type" or . == "session.id")))) as $a | row($a) end;
def words: [list(.parts)[] | if type == "string" then . elif type == "object" and (.type == "text" or .type == null) then (.content // .text) else null end | if type == "string" then . else null end] | lines | if . == null then null else . end;
def text: words // (.content | if type == "string" then said elif type == "array" then [.[] | if type == "object" and .type == "text" then (.text // .content) elif type == "string" then . else null end] | lines else null end);
# what two spans say of one message, without what the history leaves out
def same: {role: .role, text: text, tools: [list(.parts)[] | objects | .id? // empty]};
def overlap($known; $in): [range([($known | length), ($in | length)] | min; 0; -1) | select(. as $n | $known[-$n:] == $in[:$n])] | first // 0;
def speaker: if .role == "user" then "user" elif .role == "assistant" then "bot" else null end;
def said($at): speaker as $who | if $who == null then dropped(.role // "message without role") elif text == null then dropped([list(.parts)[] | objects | .type | values] | first // "message without text") else {text: text, format: (if $who == "bot" then "markdown" else null end)} | message($who; $at) end;
. as $all
| [$all[] | . as $s | select(any($all[]; .id != $s.id and ($s.parent != "" and .id == $s.parent or (.trace == $s.trace and $s.trace != "" and $s.parent != "" and .start <= $s.start and .end >= $s.end))) | not)] as $outer
| (reduce $outer[] as $s ({known: [], choices: [], out: []};
    ([$s.in[] | select(.role | IN("system", "developer") | not)]) as $in | ($in | map(same)) as $heard
    # of several choices, the one that the history shows was taken
    | .known as $known | ([.choices[] | . as $c | {c: $c, n: overlap($known[:-1] + [$c | same]; $heard)}] | max_by(.n)) as $taken
    | (if (.choices | length) > 1 and $taken.n > 0 then .known[-1] = ($taken.c | same) | .out[-1].message = $taken.c else . end)
    | overlap(.known; $heard) as $n
    | .out += [$in[$n:][] | {message: ., at: $s.start}] | .known += $heard[$n:]
    | .choices = $s.out
    | if $s.out == [] then . else .out += [{message: $s.out[0], at: $s.end}] | .known += [$s.out[0] | same] end)) as $talk
| {id: .[0].conversation, end_user: ([$all[] | .user | {external_id: (.external_id | person), email: (.email | email), name: (.name | person)} | compact] | add // {}),
   messages: ([$all[] | . as $s | select(any($outer[]; . == $s) | not) | dropped("span within another")] + [$talk.out[] | .at as $at | .message | said($at)])}
