# title: Langfuse, traces or observations
# record: a trace, or a row of observations
# marks: input output
# detect: (.sessionId // .traceId // .id) != null and (has("timestamp") or has("startTime")) and (has("traceId") or has("observations") or has("latency") or has("sessionId"))
# group_by: .sessionId // .session_id // .traceId // .id
# sort_by: [((.timestamp // .startTime) | totime), .id]
# closed: idle 1h
# A turn is one trace or root observation: the last words of the customer in its input, and its output. Other observations are dropped. Records without a session are a chat each. A
# session counts as closed if nobody wrote for an hour before the end of the data. Fetch observations with expandMetadata, or metadata is cut off.
def unpacked: if type == "string" and test("^\\s*[\\[{]") then . as $s | (try fromjson catch $s) else . end;
def parts: if type == "array" then [.[] | if type == "string" then . elif type == "object" and (.type == "text" or .type == "input_text" or .type == "output_text") then .text else null end] | lines else said end;
def human: .role // .type | IN("user", "human", "customer");
def machine: .role // .type | IN("assistant", "ai", "bot", "model");
def asked: unpacked | if type == "string" then said elif type == "array" then ([.[] | select(type == "object" and human) | .content | parts] | last)
  elif type != "object" then null elif (.messages | type) == "array" then (.messages | asked) elif human then .content | parts
  else [.input, .query, .question, .text, .prompt, .message, .content, .user_input, .userInput, .user_message | values] | first | if . == null then null else asked end end;
def answered: unpacked | if type == "string" then said elif type == "array" then ([.[] | select(type == "object" and machine) | .content | parts] | last)
  elif type != "object" then null elif (.messages | type) == "array" then (.messages | answered) elif (.choices | type) == "array" then (.choices[0].message? | answered) elif .content != null then .content | parts
  else [.output, .answer, .text, .response, .message, .completion, .generated_text, .result | values] | first | if . == null then null else answered end end;
def child: .parentObservationId != null and .isRootObservation != true;
def start: (.timestamp // .startTime) | totime;
. as $rows
| (.[0] | .sessionId // .session_id // .traceId // .id) as $session
| {id: ($session | known), end_user: (([$rows[] | .metadata | unpacked | identity] | add // {}) + ({external_id: ([$rows[] | .userId // .user_id | person | values] | first)} | compact)),
   attributes: ({tags: ([$rows[] | .tags | if type == "array" then .[] else empty end | known | values] | unique | if . == [] then null else . end)} | compact),
   messages: [$rows[] | start as $start | ((.endTime | totime) // $start) as $end
     | if child then dropped("child observation") else (.input | asked) as $asked | (.output | answered) as $answered
       | (if .input == null then empty elif $asked == null then dropped("input without words of the customer") else {text: $asked} | message("user"; $start) end),
         (if .output == null then empty elif $answered == null then dropped("output without words of the bot") else {text: $answered, format: "markdown"} | message("bot"; $end) end) end]}
| compact
