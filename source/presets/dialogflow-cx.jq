# title: Dialogflow CX, turns in BigQuery
# record: a row of the table dialogflow_bigquery_export_data
# marks: conversation_name turn_position
# group_by: .conversation_name
# sort_by: [(.request_time | totime), (.turn_position | if type == "string" then (try tonumber catch 0) else . end)]
# closed: idle 1h
# A turn holds what the customer said and what the bot answered, at one time. A conversation is closed by an end of interaction or a hand-over to an agent, else if nobody
# wrote for an hour before the end of the data. Who the customer is comes from the parameters and the payload of your own requests (user_id, email, phone, name).
def list(x): x | if type == "array" then . else [] end;
def object(x): x | json | if type == "object" then . else {} end;
def request: object(.request);
def response: object(.response);
def input: request | object(.queryInput // .query_input);
def result: response | object(.queryResult // .query_result);
def replies: result | list(.responseMessages // .response_messages)[] | if type == "object" then . else {} end;
def rich: if type == "array" then .[] | rich elif type != "object" then empty
  else ((.title, .subtitle, (.text | if type == "array" then .[] else . end)) | said | values), (.options | if type == "array" then options else null end | values), (to_entries[] | select(.key != "options" and .key != "text") | .value | rich) end;
def asked: (input | .text | if type == "object" then .text else . end | said) // (result | .transcript | said);
def reply($at): if has("text") then {text: ([list(.text | if type == "object" then .text else [.] end)[] | said | values] | lines)} | message("bot"; $at)
  elif has("outputAudioText") or has("output_audio_text") then {text: ((.outputAudioText // .output_audio_text) | if type == "object" then (.text | said) // (.ssml | if type == "string" then ssml2text else null end) else null end)} | message("bot"; $at)
  elif has("payload") then {text: ([.payload | rich] | lines)} | message("bot"; $at)
  else dropped([keys[] | select(. != "channel" and . != "responseType" and . != "source")] | first // "empty reply") end;
def ends: any(replies; has("endInteraction") or has("end_interaction") or has("liveAgentHandoff") or has("live_agent_handoff"));
def turn: (.request_time | totime) as $at | asked as $asked
  | (if $asked != null then {text: $asked} | message("user"; $at) else input | [keys[] | select(IN("event", "dtmf", "intent", "audio", "text"))] | if . == [] then dropped("turn without input") else dropped(first + " input") end end), (replies | reply($at));
. as $rows
| {id: (.[0].conversation_name | known | if . == null then null else split("/") | last end), _closed: any($rows[]; ends),
   end_user: ([$rows[] | request | (object(.queryParams // .query_params)) | (object(.payload) | identity), (object(.parameters) | identity)] | add | compact),
   attributes: ({language: ([$rows[] | .language_code | known | values] | last)} | compact),
   messages: [$rows[] | turn]}
