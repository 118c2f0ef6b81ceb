# title: Dialogflow CX, conversation history
# record: a conversation with its interactions, as conversations.get returns it
# marks: name interactions
# closed: idle 1h
# The list of conversations has no interactions: get each conversation. One is closed by an end of interaction, else if nobody wrote for an hour before the end of the data.
# Who the customer is comes from the parameters and the payload of your own requests (user_id, email, phone, name).
def list(x): x | if type == "array" then . else [] end;
def object(x): x | json | if type == "object" then . else {} end;
def input: object(.request) | object(.queryInput);
def result: object(.response) | object(.queryResult);
def replies: list(result | .responseMessages)[] | if type == "object" then . else {} end;
def rich: if type == "array" then .[] | rich elif type != "object" then empty
  else ((.title, .subtitle, (.text | if type == "array" then .[] else . end)) | said | values), (.options | if type == "array" then options else null end | values), (to_entries[] | select(.key != "options" and .key != "text") | .value | rich) end;
def asked: (input | .text | if type == "object" then .text else . end | said) // (result | .transcript | said) // (.requestUtterances | said);
def reply($at): if has("text") then {text: ([list(.text | if type == "object" then .text else [.] end)[] | said | values] | lines)} | message("bot"; $at)
  elif has("outputAudioText") then {text: (.outputAudioText | if type == "object" then (.text | said) // (.ssml | if type == "string" then ssml2text else null end) else null end)} | message("bot"; $at)
  elif has("payload") then {text: ([.payload | rich] | lines)} | message("bot"; $at)
  else dropped([keys[] | select(. != "channel" and . != "responseType" and . != "source")] | first // "empty reply") end;
def ends: any(replies; has("endInteraction") or has("liveAgentHandoff"));
def turn: (.createTime | totime) as $at | asked as $asked | [replies | reply($at)] as $replies
  | (if $asked != null then {text: $asked} | message("user"; $at) else input | [keys[] | select(IN("event", "dtmf", "intent", "audio", "text"))] | if . == [] then dropped("turn without input") else dropped(first + " input") end end),
    (if all($replies[]; has("_drop")) and (.responseUtterances | said) != null then {text: (.responseUtterances | said)} | message("bot"; $at) else empty end), $replies[];
if (.interactions | type) != "array" then foreign("it has no interactions") else . end
| ([.interactions[] | if type == "object" then . else refuse("an interaction is not an object: correct the record") end] | sort_by(.createTime | totime)) as $turns
| {id: (.name | known | if . == null then null else split("/") | last end), created_at: (.startTime | totime), _closed: ((.metrics | type == "object" and .hasEndInteraction == true) or any($turns[]; ends)),
   end_user: ([$turns[] | object(.request) | object(.queryParams) | (object(.payload) | identity), (object(.parameters) | identity)] | add // {} | compact),
   attributes: ({language: (.languageCode | known)} | compact),
   messages: [$turns[] | turn]}
