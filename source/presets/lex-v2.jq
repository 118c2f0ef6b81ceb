# title: Amazon Lex V2, conversation logs
# record: an entry of the log, as CloudWatch Logs has it or by itself
# export: the conversation log in CloudWatch Logs (filter-log-events) or S3
# external_id: session attribute user_id or customer_id; else sessionId (*)
# other_ids: session attributes email, phone, name
# marks: timestamp
# detect: (if type == "object" and has("sessionId") == false then (.message // .["@message"]) | json else . end) | type == "object" and (.sessionId | type) == "string" and (.bot | type) == "object" and ([has("inputTranscript", "messages", "interpretations", "missedUtterance")] | any)
# each: def entry: if type == "object" and has("sessionId") == false then . as $event | ((.message // .["@message"]) | json) as $e | if ($e | type) == "object" and ($e | has("sessionId")) then $e | .timestamp //= ($event.timestamp // $event["@timestamp"]) else . end else . end; if type == "object" and (.logEvents | type) == "array" then .logEvents[] else . end | entry
# group_by: if type == "object" then .sessionId | known else null end
# sort_by: .timestamp | if type == "string" and test("^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+$") then . + "Z" else . end
# session_gap: 30m
# closed: idle 30m
# An entry is an utterance: what the customer said, and what the bot answered at the same time. The entries of a session are in several log streams and
# are put together by sessionId, wherever they are.
# These can be read: the answers of `aws logs filter-log-events`, its events one a line, what a subscription delivers, what Logs Insights exports as
# JSON with @timestamp and @message, and entries by themselves. Lines of an export to S3 begin with a time. Cut it off: `sed 's/^[^{]*//'`.
# Other events of the log group are rejected as not_a_transcript.
# Bots often use a sessionId again, such as a phone number. A session is cut where it paused for half an hour: set source.session_gap to the session
# timeout of your bot, or longer. The time of its first entry is added to its id.
# The end of an intent is no end of a chat, as customers ask on: a session is closed once it paused.
# What the customer said is inputTranscript, where Lex hides the slots that you chose to hide. rawInputTranscript is not read, as nothing is hidden there.
# SSML becomes text. Of a payload of your own the templates of Amazon Connect, and what is no JSON, are sent. Other payloads are dropped.
# The customer's id, e-mail address, phone number and name are taken from the session attributes user_id (or customer_id), email, phone and name and
# their like. Without an id it is the sessionId.
def object: json | if type == "object" then . else {} end;
def list: json | if type == "array" then . else [] end;
def at: .timestamp | if type == "number" then totime else known | if . == null then null elif test("^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+$") then . + "Z" | totime else totime end end;
def words: if type == "object" then .text | said else said end;
# what a template for interactive messages shows
def template: if type != "object" or . == {} then [] else [(.title, .subtitle, .header, .body | words), (.location | object | .title | said),
    (.elements, .rows | list[] | if type == "object" and (.data | object | has("content")) then .data | object | .content | object | template[]
      else (if type == "object" then [.title, (.subtitle // .description) | said | values] | if length > 1 then "\(.[0]) (\(.[1]))" else first end else said end) | values | "- " + . end),
    (.timeslots | list[] | object | .date | known | values | "- " + .), (.sections | list[] | object | template[]),
    (.action | object | template[]), (.buttons | list[] | object | (.title // (.reply | object | .title)) | said | values | "- " + .), (.footer | words)] end;
def payload: json as $json
  | if ($json | type) == "object" then if ($json.templateType | type) == "string" then $json.data | object | .content | object | template | lines else null end
    elif ($json | type) == "array" then null else said end;
def card: .imageResponseCard | object;
def answer($at): if type == "string" then {text: .} | message("bot"; $at)
  elif type != "object" then dropped("message that cannot be read")
  else (.contentType | known // "PlainText" | ascii_downcase) as $kind
    | if $kind == "plaintext" then {text: (.content | said)} | message("bot"; $at)
      elif $kind == "ssml" then {text: (.content | if type == "string" then ssml2text else null end)} | message("bot"; $at)
      elif $kind == "custompayload" then {text: (.content | if type == "string" then payload else tojson | payload end)} | if .text == null then dropped("CustomPayload") else message("bot"; $at) end
      elif $kind == "imageresponsecard" then {text: ([(card | .title, .subtitle | said), (card.buttons | list[] | object | (.text // .value) | said | values | "- " + .)] | lines),
          attachments: [card | file(.imageUrl; .title) | values]} | message("bot"; $at)
      else dropped("message of an unknown content type") end end;
# what the buttons of a card send, with what they show
def buttons: [.messages | list[] | objects | card.buttons | list[] | object | {key: (.value | said), value: (.text | said)} | select(.key != null and .value != null)] | from_entries;
def plain_name: ascii_downcase | gsub("[^a-z0-9]"; "");
def attribute($all; names): [$all[] | select(.key | IN(names)) | .value];
def channel($all): [$all[] | .requestAttributes | object | .["x-amz-lex:channel-type"] | known | values] | last;
# what is there twice counts once
reduce .[] as $e ({seen: {}, all: [], twice: []}; ($e | [.requestId, .inputTranscript, .messages, .timestamp] | tojson) as $key
  | if ($e.requestId | known) != null and .seen[$key] then .twice += [dropped("entry that is there twice")] else .seen[$key] = true | .all += [$e] end)
| .twice as $twice | .all as $all
| if any($all[]; .botResponse != null or .botName != null) then refuse("it is an entry of Lex V1: write a transform for it") else . end
| if any($all[]; .messages != null and (.messages | json | type) != "array") then refuse("the messages of an entry are not an array: correct the entry") else . end
| [$all[] | (.sessionState | object | .sessionAttributes | object), (.sessionAttributes | object) | to_entries[] | {key: (.key | plain_name), value: .value}] as $attributes
| ($all[0].sessionId | known) as $session | channel($all) as $channel
| {id: $session, created_at: ($all[0] | at),
   end_user: ({external_id: (([attribute($attributes; "userid", "customerid", "externalid")[] | person | values] | last)),
     email: ([attribute($attributes; "email", "useremail", "customeremail", "emailaddress")[] | email | values] | last),
     phone: (([attribute($attributes; "phone", "phonenumber", "userphone", "customerphone", "customerphonenumber")[] | phone | values] | last)
       // (if $channel != null and ($channel | test("twilio|sms"; "i")) then (([$all[] | .requestAttributes | object | .["x-amz-lex:user-id"] | phone | values] | last) // $session)
           | if . != null and test("^[0-9]{8,15}$") then "+" + . else . end | phone else null end)),
     name: ([attribute($attributes; "name", "fullname", "customername")[] | person | values] | last)} | compact | given_id(""; $session | person)),
   attributes: ({channel: $channel, language: ([$all[] | .bot | object | .localeId | known | values] | last), bot: ([$all[] | .bot | object | .name | known | values] | last)} | compact),
   messages: ($twice + [foreach $all[] as $e ({}; .shown = .next // {} | .next = .shown + ($e | buttons); .shown as $shown | $e | at as $at
     | (.inputTranscript | said) as $input | (if $input == null then dropped("user without text") else {text: ($shown[$input] // $input)} | message("user"; $at) end),
       (.messages | list[] | answer($at)))])}
| compact
