# title: OpenTelemetry, GenAI spans and events with their content
# record: a span, a log event, or a batch of them in OTLP/JSON
# export: OTLP/JSON of the collector, or spans and log events of a back end, with their content recorded
# external_id: user.id (enduser.id)
# other_ids: user.email, user.name
# detect: type == "object" and (has("resourceSpans") or has("resourceLogs") or has("resourceMetrics") or ([., .attributes, .SpanAttributes, .LogAttributes, (if (.spans | type) == "array" then .spans[] | if type == "object" then .attributes else null end else null end)] | any(type == "object" and (keys | any(startswith("gen_ai."))))))
# each: def list: if type == "array" then .[] else empty end; def id: .spanId // .span_id // .SpanId // .context.span_id? // .id | known; def parent: .parentSpanId // .parent_span_id // .ParentSpanId // .parent_id | known | if . == null or test("^(0x)?0*$") then null else . end; def attribute(name): name as $name | (.attributes // .SpanAttributes // .LogAttributes | if type == "array" then first(.[] | if type == "object" and .key == $name then .value else empty end | if type == "object" then .stringValue // .intValue else . end) // null elif type == "object" then .[$name] // (try getpath($name / ".") catch null) else null end) // .[$name]; def when: known | if . == null or test("^0*$") then null elif test("^[0-9]{4}-[0-9-]+[ T][0-9:.]+$") then . + "Z" | totime else totime end; def row($name): {($name): ., talk: (attribute("gen_ai.conversation.id") // attribute("session.id") // attribute("traceloop.association.properties.session_id") | known), at: (.startTimeUnixNano // .start_time_unix_nano // .timeUnixNano // .time_unix_nano // .start_time // .startTime // .StartTime // .timestamp // .Timestamp // .observedTimeUnixNano | when), part: (.traceId // .trace_id // .TraceId // .context.trace_id? // null | known // "" | .[-2:])}; def spans: [.[] | if type == "object" then . else {} end] | ([.[] | {key: (id // ""), value: parent}] | from_entries) as $parents | .[] | [limit(100; parent | values | recurse($parents[.] | values))] as $line | row("span") + {$line, whole: ($line != [] and ($parents | has($line[-1])) and $parents[$line[-1]] == null)}; if type != "object" then {other: "record that is no object"} elif has("resourceSpans") or has("resourceLogs") or has("resourceMetrics") then ([.resourceSpans | list | (.scopeSpans? // .instrumentationLibrarySpans?) | list | .spans? | list] | spans), (.resourceLogs | list | .scopeLogs? | list | .logRecords? | list | if type == "object" then row("event") else {other: "event without messages"} end), (.resourceMetrics | list | {other: "metrics"}) elif (.spans | type) == "array" then .spans | spans elif has("eventName") or has("event_name") or has("LogAttributes") or has("timeUnixNano") then row("event") else [.] | spans end
# group_by: .talk // {part}
# sort_by: .at
# closed: idle 1h
# The content has to be recorded, which is off by default: set OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT. Spans and events need the attribute
# gen_ai.conversation.id, or session.id, which tells which conversation they belong to. What has no messages or no conversation is dropped.
# gen_ai.input.messages and gen_ai.output.messages are read as text with JSON or as they are, and the older gen_ai.prompt.0.content and
# gen_ai.completion.0.content. The events gen_ai.user.message and gen_ai.choice of older libraries are not read: set OTEL_SEMCONV_STABILITY_OPT_IN to
# gen_ai_latest_experimental.
# Each span repeats the conversation so far: only what is new is taken. A span within another one that has messages, such as that of a tool or a
# guardrail within an agent, is not the talk with the customer, and is dropped. What runs beside the talk, in the same conversation and within no
# span that has messages, cannot be told from it: leave such spans out of the export.
# Instructions, reasoning, tool calls and their results are dropped. A conversation counts as closed if nobody wrote for an hour before the end of the
# data. The customer is taken from user.id, user.email and user.name.
def object: if type == "object" then . else {} end;
def list: if type == "array" then . else [] end;
def when: known | if . == null or test("^0*$") then null elif test("^[0-9]{4}-[0-9-]+[ T][0-9:.]+$") then . + "Z" | totime else totime end;
# an attribute of OTLP/JSON as plain JSON
def plain: if type != "object" then .
  elif has("stringValue") then .stringValue elif has("intValue") then .intValue elif has("doubleValue") then .doubleValue elif has("boolValue") then .boolValue
  elif has("arrayValue") then [.arrayValue | object | .values | list | .[] | plain]
  elif has("kvlistValue") then [.kvlistValue | object | .values | list | .[] | objects | {key: (.key | tostring), value: (.value | plain)}] | from_entries
  else null end;
def attributes: (.attributes // .SpanAttributes // .LogAttributes
    | if type == "array" then [.[] | objects | {key: (.key | tostring), value: (.value | plain)}] | from_entries else object end) as $given
  | with_entries(select(.key | test("^(gen_ai|user|enduser)\\."))) + $given;
def attribute($name): .[$name] // (try getpath($name / ".") catch null);
# messages, null if there are none, or "broken"
def messages($name): attribute($name) | if type == "string" then (try fromjson catch "broken") else . end | if type == "object" then [.] elif type == "array" or . == null then . else "broken" end;
def numbered($name; $role): . as $all
  | [keys[] | select(startswith($name + ".") and endswith(".content")) | .[($name | length) + 1:-8] | select(test("^[0-9]+$"))] | sort_by(tonumber)
  | if . == [] then null else [.[] | {role: ($all["\($name).\(.).role"] // $role), content: ($all["\($name).\(.).content"] | if type == "string" and test("^\\s*\\[") then json // . else . end)}] end;
# what is visible in a message, and what of it the history of a later span repeats
def texts: if type == "string" then [said | values]
  elif type == "array" then [.[] | if type == "string" then said else object | if .type | IN("text", "input_text", "output_text", null) then (.content // .text) | if type == "string" then said else null end else null end end | values]
  else [] end;
def parts: [.parts, .content | list | .[] | objects];
def files: [parts[] | (if .type == "uri" then .uri elif .type == "image_url" then .image_url | if type == "object" then .url else . end else null end) | file(.; null) | values];
def speaker: if .role == "user" or .role == "assistant" then .role else .role | if type == "string" then ascii_downcase else "" end end
  | if . == "user" or . == "human" then "user" elif . == "assistant" or . == "ai" or . == "model" then "bot" elif . == "system" or . == "developer" or . == "tool" then . else "unknown" end;
def read: if type != "object" then {role: "unknown", text: null, tools: [], files: [], kinds: []}
  elif .content == null and (.parts | type == "array" and length == 1 and (.[0] | type == "object" and .type == "text" and (.content | type) == "string"))
    then {role: speaker, text: (.parts[0].content | said), tools: [], files: [], kinds: []} # nearly all messages
  else {role: speaker, text: (([.parts, .content | texts] | map(select(. != [])) | first // []) | lines), files: files,
    tools: [parts[] | select(.type | IN("tool_call", "tool_call_response", "server_tool_call", "server_tool_call_response")) | .id | known | values],
    kinds: [parts[] | .type | known | values]} end;
def same: {role, text: (.text // "" | trim), tools, files};
# a row as {kind} if it is not of the talk, else with what it says
def opened:
  if .other != null then {kind: .other}
  else (.span // .event | object) as $s | (if has("event") then "event" else "span" end) as $of | ($s | attributes) as $a
    | (($a | messages("gen_ai.input.messages")) // ($a | numbered("gen_ai.prompt"; null))) as $in
    | (($a | messages("gen_ai.output.messages")) // ($a | numbered("gen_ai.completion"; "assistant"))) as $out
    | ($a | attribute("gen_ai.operation.name") | known) as $does
    | ($s.spanId // $s.span_id // $s.SpanId // ($s.context | object | .span_id) // (if $of == "span" then $s.id else null end) | known) as $id
    | if ($in // []) == [] and ($out // []) == [] then {kind: "\($of) without messages"}
      elif $does != null and ($does | IN("chat", "generate_content", "text_completion", "invoke_agent", "invoke_workflow") | not) then {kind: $does}
      elif .talk == null then {kind: "\($of) without a conversation"}
      else {of: $of, $id, line: (if $of == "event" then [$id | values] else .line // [] end), whole: (.whole == true),
        trace: ($s.traceId // $s.trace_id // $s.TraceId // ($s.context | object | .trace_id) | known), start: .at,
        end: (($s.endTimeUnixNano // $s.end_time_unix_nano // $s.end_time // $s.endTime // $s.EndTime | when) // .at),
        broken: ($in == "broken" or $out == "broken"), in: ($in | list | map(read)), out: ($out | list | map(read)),
        user: ($a | {external_id: (attribute("user.id") // attribute("enduser.id") | person), email: (attribute("user.email") | email),
          name: (attribute("user.full_name") // attribute("user.name") // attribute("enduser.name") | person)})} end end;
# whether a row is within another one: one of its ancestors is there, or, where they are not all known, one of the same trace that lasts longer
def within($all; $ids): . as $s
  | .line != [] and (any(.line[]; $ids[.] == true) or ((.whole | not) and any($all[]; .of == "span" and .trace != null and .trace == $s.trace and .id != $s.id
      and .start <= $s.start and .end >= $s.end and (.start < $s.start or .end > $s.end or $s.of == "event"))));
# how many messages at the beginning of an input are the end of what is known
def overlap($known; $in): first(range([($known | length), ($in | length)] | min; 0; -1) | select(. as $n | $known[-$n:] == $in[:$n])) // 0;
def told($at): .role as $role
  | if $role | IN("user", "bot") | not then dropped(if $role == "unknown" then "message of an unknown role" else $role end)
    elif .text == null and .files == [] then dropped([.kinds[] | select(. != "text")] | first // "message without text")
    else {text, attachments: .files, format: (if $role == "bot" then "markdown" else null end)} | message($role; $at) end;
[.[] | {talk: .talk} + opened] as $rows
| [$rows[] | select(has("kind") | not)] as $spans
| if $spans == [] then $rows[] | dropped(.kind)
  else
    ([$spans[] | select(.of == "span" and .id != null) | {key: .id, value: true}] | from_entries) as $ids
    | ([$spans | to_entries[] | select(.value.of == "span" and .value.id != null) | {key: "\(.value.trace) \(.value.id)", value: .key}] | from_entries) as $last
    | [$spans | to_entries[] | .key as $n | .value
        | if .of == "span" and .id != null and $last["\(.trace) \(.id)"] != $n then {kind: "repeated span"}
          elif .of == "event" and .id != null and $ids[.id] == true then {kind: "event of a span with messages"}
          elif within($spans; $ids) then {kind: "\(.of) within another one"}
          elif .broken then refuse("the messages of a span are no JSON, perhaps as they are cut off: raise OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT and OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT, or leave the conversation out")
          else . end] as $sorted
    | (reduce ($sorted[] | select(has("kind") | not)) as $s ({known: [], choices: [], said: []};
        [$s.in[] | select(.role | IN("system", "developer") | not)] as $in | [$in[] | same] as $heard
        # of several choices, the one that the history shows was taken
        | (if (.choices | length) > 1 then .known as $known | ([.choices[] | {choice: ., n: overlap($known[:-1] + [same]; $heard)}] | max_by(.n)) as $taken
             | if $taken.n > 0 and overlap($known; $heard) < $taken.n then .known[-1] = ($taken.choice | same) | .said[-1].message = $taken.choice else . end
           else . end)
        | overlap(.known; $heard) as $n
        # a history that does not fit: all behind the last answer in it is new
        | ([$in | to_entries[] | select(.value.role != "user") | .key + 1] | max // 0) as $answered
        | (if $n == 0 and .known != [] and $answered > 0 then $answered else $n end) as $from
        | .said += [if $from > $n then $in[:$from][] | {other: "history that differs from what was said"} else empty end]
        | .said += [$s.in[] | select(.role | IN("system", "developer")) | {other: .role}]
        | .said += [$in[$from:][] | {message: ., at: $s.start}] | .known += $heard[$from:]
        | (if any($s.out[]; .role == "tool") then $s.out else [([$s.out[] | select(.text != null)] + $s.out) | first | values] end) as $answer
        | .choices = (if ($answer | length) == 1 then $s.out else [] end)
        | .said += [$answer[] | {message: ., at: $s.end}] | .known += [$answer[] | same])) as $talk
    | {id: first($rows[] | .talk | values),
       end_user: ([$spans[] | .user | compact] | reverse | add),
       messages: ([$rows[] | select(has("kind")) | dropped(.kind)] + [$sorted[] | select(has("kind")) | dropped(.kind)]
         + [$talk.said[] | if .other != null then dropped(.other) else .at as $at | .message | told($at) end])}
  end
