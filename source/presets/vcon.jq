# title: vCon, conversation containers of the IETF
# record: a vCon, unsigned and unencrypted, of the syntaxes 0.0.1 to 0.4.0
# export: vCons, unsigned and unencrypted
# external_id: vcon:<uuid of the party> (*)
# other_ids: mailto, tel, name of the party
# detect: def container: type == "object" and (((.parties | type) == "array" and (has("dialog") or has("vcon") or has("uuid"))) or ((.payload | type) == "string" and (.signatures | type) == "array") or ((.ciphertext | type) == "string" and (.recipients | type) == "array")); container or (type == "object" and ([.[] | if type == "array" then .[0] else null end | select(container)] | length > 0))
# each: if type == "object" and ([has("parties", "dialog", "group", "uuid", "vcon", "payload", "ciphertext")] | any | not) then [.[] | select(type == "array" and any(.[]; type == "object" and (has("parties") or has("payload") or has("ciphertext")))) | .[]] as $within | if $within == [] then . else $within[] end else . end
# closed: file
# Only dialogs of type text are a chat, and only they are sent. Recordings and what was spoken in them, mails in several parts, analyses (summaries, reports) and
# attachments of the container (tags, consent) are not.
# A party is the bot if its type is bot; else its role says whether it is the customer or an agent; without one, a party with org or dept, or an organization, is an agent,
# and another one that has a name or an address is the customer. If more than one party without a role could be the customer, the vCon is refused: give each a role.
# What others said, and what agents and bots said among themselves, is counted, and not sent.
# A vCon does not say whether the conversation has ended: write closed: idle 24h if yours are exported while it goes on.
# Signed and encrypted vCons, other syntaxes, and those with extensions that are critical are refused.
def no_value: . == null or . == "" or . == [] or . == {};
def version: .vcon | if no_value then "0.4.0" else tostring end;
def party_kind: if type != "object" then {} else
  (.role // (.meta | if type == "object" then .role else null end) | if type == "string" then (known | if . == null then null else ascii_downcase | gsub("[ _-]"; "") end) else null end) as $role
  | if .type == "bot" or ($role | IN("bot", "chatbot", "assistant", "virtualagent", "virtualassistant", "ivr", "voicebot")) then {kind: "bot"}
    elif $role | IN("customer", "client", "caller", "enduser", "user", "consumer", "visitor", "guest", "contact") then {kind: "user"}
    elif $role | IN("agent", "supervisor", "sme", "operator", "representative", "employee", "staff", "advisor", "humanagent") then {kind: "agent"}
    elif ([.org, .dept | no_value] | all | not) or .type == "organization" then {kind: "agent"}
    elif $role == null and ([.name, .tel, .mailto, .sip, .uuid, .did, .stir | known | values] != [] or .type == "person") then {kind: "user", guessed: true}
    else {} end end;
def index_of: if type == "array" then flatten | first else . end | if type == "string" then (try tonumber catch null) else . end | if type == "number" then . else null end;
def sender: (.originator | index_of) as $originator | if $originator != null then $originator else .parties | index_of end;
def present: [.originator, .parties | if type == "array" then flatten[] else . end | index_of | values] | unique;
def media: .mediatype // .mimetype | if type == "string" then ascii_downcase | split(";")[0] // "" | gsub("\\s"; "") else "" end;
def base64url: gsub("-"; "+") | gsub("_"; "/") | gsub("[\\s=]"; "") | . + {"2": "==", "3": "="}[length % 4 | tostring] | @base64d;
def encoded: (.encoding | known) as $encoding | if $encoding != null then $encoding | ascii_downcase elif media | . == "" or startswith("text/") then "none" elif media == "application/json" then "json" else "base64url" end;
# the body: a text, or {_drop} for one that cannot be shown
def body_text: encoded as $encoding | .body as $body
  | if $encoding == "base64url" or $encoding == "base64" then
      if ($body | type) == "string" then (try ($body | base64url) catch refuse("the body of a dialog is not base64url: correct the record")) else dropped("dialog without text") end
    elif $encoding == "json" then
      if ($body | type) == "string" then ($body | (try fromjson catch null) | if type == "string" then . elif type == "array" or type == "object" then dropped("dialog in JSON") else $body end) else dropped("dialog in JSON") end
    elif $encoding == "none" then if ($body | type) == "string" then $body else dropped("dialog without text") end
    else dropped("dialog in another encoding") end;
def message_of($role): (.start | totime) as $at | media as $media | [file(.url; .filename) | values] as $files
  | {id: (.message_id | known), attachments: $files} as $message
  | if .body | no_value then
      if $files != [] then $message | message($role; $at) elif .url | no_value then dropped("dialog without body") else dropped("attachment without a web address") end
    elif $media | startswith("multipart/") or startswith("message/") then dropped("dialog with a mail")
    elif $media | . == "" or . == "application/json" or startswith("text/") or startswith("application/xhtml") | not then dropped("dialog with a file")
    else body_text as $text
      | if $text | type == "object" then $text
        else $message + {text: ($text | if $media == "text/html" or ($media | startswith("application/xhtml")) then html2text else . end | said), format: (if $media == "text/markdown" then "markdown" else null end)}
          | message($role; $at) end end;
if type != "object" then foreign("it is not an object") else . end
| if has("payload") and has("signatures") then refuse("it is signed (JWS): verify it and export the vCon that is its payload")
  elif has("ciphertext") and has("recipients") then refuse("it is encrypted (JWE): decrypt it")
  elif (has("parties") or has("dialog") or has("group")) | not then foreign("it has neither parties nor dialog")
  elif version | IN("0.0.1", "0.0.2", "0.3.0", "0.4.0") | not then refuse("the value of vcon is not a known syntax (0.0.1, 0.0.2, 0.3.0, 0.4.0): export it in one of them")
  elif [.critical, .must_support | no_value] | all | not then refuse("it has critical extensions, which are not supported: export it without them")
  elif (.dialog | no_value) and (.group | no_value | not) then refuse("it only names other vCons, in group: export those")
  elif (.dialog | no_value | not) and (.dialog | type) != "array" then refuse("dialog is not an array: correct the record")
  elif (.parties | no_value | not) and (.parties | type) != "array" then refuse("parties is not an array: correct the record")
  else . end
| [.dialog | if no_value then empty else .[] end] as $dialogs
| [.parties | if no_value then empty else .[] end] as $parties
| [$parties[] | party_kind] as $kinds
| [$dialogs[] | if type == "object" and .type == "text" then sender else null end | values | select(. >= 0 and . < ($kinds | length))] as $speakers
| [$speakers | unique[] | {n: ., k: $kinds[.]} | select(.k.kind == "user")] as $customers
| if ($customers | length) > 1 and any($customers[]; .k.guessed) then refuse("it cannot be told which of its parties is the customer: give each party a role, customer or agent") else . end
| ([$speakers[] as $n | select($kinds[$n].kind == "user") | $parties[$n]] + [range($parties | length) as $n | select($kinds[$n].kind == "user") | $parties[$n]] | first // {}) as $customer
| {id: (.uuid | known),
   created_at: (if any($dialogs[]; type == "object" and .type == "text" and .start != null) then null else .created_at | totime end),
   end_user: ({email: ($customer.mailto | email), phone: ($customer.tel | phone), name: ($customer.name | person)} | compact | given_id("vcon:"; $customer.uuid | person)),
   attributes: ({subject: (.subject | said)} | compact),
   messages: [$dialogs[] | if type != "object" then dropped("unknown dialog")
     elif (.type | type) != "string" then dropped("dialog without type")
     elif .type != "text" then dropped("dialog of type " + .type)
     else sender as $n | (if $n != null and $n >= 0 then $kinds[$n].kind else null end) as $role
       | [present[] | if . >= 0 then $kinds[.].kind else null end] as $there
       | if $role == null then dropped("dialog of an unknown party")
         elif ($there | length) > 1 and all($there[]; . == "agent" or . == "bot") then dropped("dialog without the customer")
         else message_of($role) end end]}
| compact
