# title: Amazon Lex V2, conversation logs
# record: an entry of the log, or the CloudWatch event whose message it is
# detect: any(entries; (if (.message | type) == "string" then .message | json else . end) | type == "object" and has("sessionId") and (has("inputTranscript") or has("messages")))
# each: entries | if (.message | type) == "string" and (.message | startswith("{")) then (.timestamp as $t | .message | json | if type == "object" then .timestamp //= $t else dropped("event whose message is not JSON") end) else . end
# group_by: .sessionId
# sort_by: [(.timestamp | totime), .requestId]
# session_gap: 30m
# One utterance is one entry, with what the customer said and what the bot answered at one time. Sessions with the same id are cut where they paused for half an hour. Lines from S3
# begin with a time: remove it, as in `sed 's/^[^{]*//'`. Who the customer is comes from session attributes (user_id, email, phone, name), else it is the session's id.
def entries: if (.events | type) == "array" then .events[] else . end;
def list(x): x | if type == "array" then . else [] end;
def card: .imageResponseCard | if type == "object" then [(.title, .subtitle | said), (list(.buttons) | map(.text) | options)] | lines else null end;
def custom: (.content | json) as $c | if ($c | type) == "object" then [$c | .. | objects | .title?, .text?, .message? | said] | lines else .content | said end;
def answer($at): if type != "object" then dropped("message without type") elif .contentType == "PlainText" or .contentType == null then {text: (.content | said)} | message("bot"; $at)
  elif .contentType == "SSML" then {text: (.content | if type == "string" then ssml2text else null end)} | message("bot"; $at)
  elif .contentType == "ImageResponseCard" then {text: card, attachments: [.imageResponseCard | if type == "object" then file(.imageUrl; .title) else null end | values]} | message("bot"; $at)
  elif .contentType == "CustomPayload" then {text: custom} | message("bot"; $at) else dropped(.contentType) end;
def who: [.[] | .sessionState | if type == "object" then .sessionAttributes else null end | identity] | add;
. as $rows | .[0].sessionId as $session | (who) as $who
| {id: ($session | known), end_user: ((if ($who.external_id // $who.email // $who.phone) == null then {external_id: ($session | person)} else {} end) + $who),
   attributes: ({bot: ([$rows[] | .bot | if type == "object" then .name else null end | known | values] | last)} | compact),
   messages: [$rows[] | (.timestamp | totime) as $at | ((.inputTranscript | said) // (.rawInputTranscript | said)) as $said
     | (if $said == null then dropped("entry without words of the customer") else {text: $said} | message("user"; $at) end), (list(.messages)[] | answer($at))]}
