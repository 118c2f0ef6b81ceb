# title: Dialogflow CX, conversation history
# record: a conversation with its interactions, as the method get of conversations returns it
# export: projects.locations.agents.conversations.get, of each conversation
# external_id: user_id, external_id or customer_id in the parameters of your requests
# other_ids: email, phone, name there; the caller of a phone gateway
# lists: if (.name | type == "string" and test("^projects/[^/]+/locations/[^/]+/agents/[^/]+/conversations/")) and (has("interactions") | not) then "it has no interactions, as the list of conversations leaves them out: get each conversation" else null end
# marks: name
# detect: (.name | type == "string" and test("^projects/[^/]+/locations/[^/]+/agents/[^/]+/conversations/")) and (has("interactions") or has("startTime") or has("start_time"))
# closed: idle 1h
# The method list returns conversations without interactions: get each of them. Such conversations are refused. Both spellings of fields are read, createTime and create_time.
# A conversation is closed if its last interaction ended it (endInteraction) or handed it over to an agent (liveAgentHandoff), else if nobody wrote for an hour before the
# end of the data, as a session may last that long. Write closed: file if the export holds nothing that still goes on. What agents write afterwards is not in the history.
# Who the customer is comes from the parameters and the payload of your own requests (user_id, external_id or customer_id, email, phone, name, and the caller's number of
# a phone gateway), and not from what the bot asked for, which may be about others.
# Keys that a customer pressed on a phone (dtmf), events, intents, unknown payloads and rich content of your own types are counted, and not sent.
def object(why): . as $value | json | if type == "object" then . elif $value == null or $value == "" or $value == "null" then {} else refuse(why) end;
def list(why): . as $value | json | if type == "array" then . elif $value == null or $value == "" or $value == "null" then [] else refuse(why) end;
def input: (.queryInput // .query_input) | object("queryInput of a request is not an object, so it is not known what the customer wrote: correct the record") | compact;
def result: (.queryResult // .query_result) | object("queryResult of a response is not an object, so it is not known what the bot answered: correct the record");
def replies: result | (.responseMessages // .response_messages) | list("responseMessages of a response is not an array, so it is not known what the bot answered: correct the record");
# what was sent before the rest of an answer was ready, and the rest without what it repeats of that: an array of arrays of response messages
def answer($response; $partial): [$partial[] | object("a partial response is not an object: correct the record") | replies] as $early | ($early | add // []) as $sent | ($response | replies) as $late
  | $early + [if $late[:($sent | length)] == $sent then $late[($sent | length):] else $late end];
def words: [if type == "array" then .[] else . end | said | values];
def inner(name): if type == "object" then name else null end;
def link: (.anchor | inner(.href)) // .link // .actionLink;
def picture: .rawUrl // (.image | inner(.rawUrl // (.src | inner(.rawUrl))));
# what a card of Dialogflow Messenger shows: {texts, files}, or null if its type is not known
def card_of: if type != "object" then null
  elif .type == "info" then {texts: [.title, .subtitle], files: [file(picture; .title)]}
  elif .type == "description" or .type == "accordion" then {texts: [.title, .subtitle, (.text | words[])], files: []}
  elif .type == "image" then {texts: [], files: [file(picture; .accessibilityText)]}
  elif .type == "button" then {texts: [[.] | options], files: []}
  elif .type == "list" then {texts: [([{title}] | options), .subtitle], files: []}
  elif .type == "chips" then {texts: [.options | if type == "array" then options else null end], files: []}
  elif .type == "files" then {texts: [], files: [.files | if type == "array" then .[] else empty end | if type == "object" then file(link; .name) else null end]}
  elif .type == "video" then {texts: [.title], files: [file((.source | inner(link)); .title)]}
  elif .type == "html" then {texts: [.html | html2text], files: []}
  elif .type == "match_citations" then {texts: [.citations | if type == "array" then options else null end], files: []}
  elif .type == "divider" then {texts: [], files: []}
  else null end;
def rich($at): [if type == "array" then .[] else . end | if type == "array" then .[] else . end] | map(card_of) as $cards
  | {text: ([$cards[] | values | .texts[]] | lines), attachments: [$cards[] | values | .files[] | values]} as $shown
  | if $shown.text != null or $shown.attachments != [] then $shown | message("bot"; $at)
    elif all($cards[]; . != null) then dropped("payload without text") else empty end,
    ($cards[] | if . == null then dropped("rich content of another type") else empty end);
# one field of a response message; $shown: the bot's words are there to read, so what was spoken of them is not needed
def reply($at; $shown): .key as $key | .value
  | if $key == "text" then {text: (if type == "object" then .text else . end | words | lines)} | message("bot"; $at)
    elif $key == "payload" then json | if type == "object" and has("richContent") then .richContent | rich($at) else dropped("payload") end
    elif $key == "outputAudioText" or $key == "output_audio_text" then
      if $shown then dropped("outputAudioText") else {text: (if type == "object" then (.text | said) // (.ssml | ssml2text | said) else said end)} | message("bot"; $at) end
    elif $key == "playAudio" or $key == "play_audio" then {attachments: [file(inner(.audioUri // .audio_uri); null) | values]} | if .attachments == [] then dropped("playAudio") else message("bot"; $at) end
    else dropped($key) end;
def about: IN("channel", "responseType", "response_type", "source");
def shows: any(.[]; type == "object" and (.text | if type == "object" then .text else . end | words) != []);
def bot($answer; $spoken; $at): [$answer[] | shows as $shown | .[] | if type != "object" then dropped("unknown reply") else compact | with_entries(select(.key | about | not))
      | if . == {} then dropped("empty reply") else to_entries[] | reply($at; $shown) end end] as $out
  | $out[], (if all($out[]; has("_drop")) and ($spoken | said) != null then {text: ($spoken | said)} | message("bot"; $at) else empty end);
def customer($input; $result; $heard; $at): [($input.text | if type == "object" then .text else . end), $result.transcript, $result.text, $heard | said | values] as $said
  | ([$input | keys[] | select(IN("event", "intent", "dtmf", "toolCallResult", "tool_call_result"))] | first) as $other
  | if $other != null then dropped($other + " input")
    elif $said != [] then {text: $said[0]} | message("user"; $at)
    elif $input | has("text") then dropped("user without text")
    elif $input | has("audio") then dropped("audio without a transcript")
    else dropped("turn without input") end;
def ends($answer): any($answer[][]; type == "object" and (has("endInteraction") or has("end_interaction") or has("liveAgentHandoff") or has("live_agent_handoff")));
def hands($answer): any($answer[][]; type == "object" and (has("liveAgentHandoff") or has("live_agent_handoff")));
def turn($request; $response; $partial; $heard; $spoken; $at): answer($response; $partial) as $answer
  | {at: $at, ends: ends($answer), hands: hands($answer), messages: [customer($request | input; $response | result; $heard; $at), bot($answer; $spoken; $at)],
     known: [$request | .queryParams // .query_params | if type == "object" then .payload, .parameters else null end | json | if type == "object" then ., {phone: (.telephony | inner(.caller_id // .callerId))} else empty end]};
def latest($known; $names): [$known[] as $k | $names[] | $k[.]];
def person_of($turns): [$turns[].known[]] as $known
  | {external_id: ([latest($known; ["customer_id", "userId", "user_id", "external_id"])[] | person | values] | last),
     email: ([latest($known; ["email_address", "email"])[] | email | values] | last),
     phone: ([latest($known; ["phone_number", "phone"])[] | phone | values] | last),
     name: ([latest($known; ["full_name", "name"])[] | if type == "string" then person else null end | values] | last)} | compact;
def at: (.createTime // .create_time) | totime;
if type != "object" or (.name | known) == null then foreign("it has no name") else . end
| if .interactions == null then refuse("it has no interactions, as the list of conversations leaves them out: get each conversation") else . end
| (.interactions | list("interactions is not an array: correct the record") | map(if type == "object" then . else refuse("an interaction is not an object: correct the record") end)
   | (if (first | at) != null and (last | at) != null and (first | at) > (last | at) then reverse else . end) | sort_by(at)) as $interactions
| [$interactions[] | at as $at
    | (.request | object("the request of an interaction is not an object: correct the record")) as $request
    | (.response | object("the response of an interaction is not an object: correct the record")) as $response
    | ((.partialResponses // .partial_responses) | list("partialResponses of an interaction is not an array: correct the record")) as $partial
    | turn($request; $response; $partial; .requestUtterances // .request_utterances; .responseUtterances // .response_utterances; $at)] as $turns
| (.metrics | if type == "object" then . else {} end) as $metrics
| ($metrics.hasEndInteraction == true or $metrics.has_end_interaction == true or $metrics.hasLiveAgentHandoff == true or $metrics.has_live_agent_handoff == true) as $over
| {id: (.name | known), created_at: ((.startTime // .start_time) | totime),
   closed_at: (if ($turns | last | .ends) == true or $over and (any($turns[]; .ends) | not) then [$turns[].at | values] | last else null end),
   end_user: person_of($turns),
   attributes: ({language: ((.languageCode // .language_code) | known),
     live_agent_handoff: (if any($turns[]; .hands) or $metrics.hasLiveAgentHandoff == true or $metrics.has_live_agent_handoff == true then true else null end)} | compact),
   messages: [$turns[].messages[]]}
| compact
