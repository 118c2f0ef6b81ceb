# title: Microsoft Bot Framework, activities
# record: an Activity, as a row, in an array, or within {"activities": […]}
# export: activities, from .transcript files, Direct Line or a transcript store
# external_id: aadObjectId of the user; else botframework:<from.id> (*)
# other_ids: from.email, from.name; from.id on the channels of phones and e-mail
# marks: type conversation from
# detect: (.type | type) == "string" and (.conversation | type) == "object" and (.from | type) == "object" and ([has("channelId", "serviceUrl", "recipient", "timestamp")] | any)
# each: (if type == "object" and (.activity | type) == "object" and has("type") == false then .activity else . end) | if type == "object" and .type != "message" and .timestamp == null and .localTimestamp == null then dropped("activity without a time") else . end
# group_by: if type == "object" then .conversation | (if type == "object" then .id else . end) | known else null end
# sort_by: (.timestamp // .localTimestamp) | if type == "string" and test("^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+$") then . + "Z" else . end
# closed: idle 24h
# The records are single activities, and are put together by conversation.id, wherever they are. So all of these can be read: the .transcript files of the
# Emulator, answers of Direct Line, the files of an Azure transcript store, rows of a database, and activities one a line.
# On Teams, SMS, WhatsApp and their like a conversation has one id for ever. Set source.session_gap: 24h there: the conversation is cut where nobody wrote
# for a day, and the time of the first activity is added to its id.
# A conversation is closed at its endOfConversation if no message follows it, else at its last message, once nobody wrote for a day.
# Only activities of the type message are sent, and the text of endOfConversation. Traces, events and all others are dropped. A messageUpdate replaces
# the text of its message, and a deleted message is not sent. An activity that is there twice is sent once.
# Who wrote is taken from from.role, else from the recipient, else from what other activities say about the same id, else the bot is who replies. A
# message of which that is not known is dropped. Activities do not tell people who answer through the bot from the bot.
# Cards become text with their buttons as lines. A click, and what somebody wrote into the fields of a card, show with the titles that they had there.
# Activities without a time are dropped, and a message without a time rejects its conversation.
def object: json | if type == "object" then . else {} end;
def list: json | if type == "array" then . else [] end;
# a time, which is UTC where it does not say so
def utc: if type == "number" then totime
  else known | if . == null or startswith("0001-") then null elif test("^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+$") then . + "Z" | totime else totime end end;
# a time that can be relied on, or null
def sure: utc | if type == "string" and test("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z$") and . >= "1970" then . else null end;
def at: (.timestamp | utc) // (.localTimestamp | utc) // (.timestampMs | utc);
# a text that is not HTML keeps its line feeds
def html: if type != "string" then null
  elif test("<[A-Za-z/!][^>]*>") then html2text
  elif test("&(#[0-9]+|#[xX][0-9A-Fa-f]+|[A-Za-z][A-Za-z0-9]*);") then gsub("\r?\n"; "<br>") | html2text
  else . end | said;
def role: object | .role | known | if . == null then null else ascii_downcase | if . == "user" or . == "1" then "user" elif . == "bot" or . == "0" then "bot" else "other" end end;
# the roles by the ids of those who have one somewhere
def roles: [.[] | (.from, .recipient) | object | {key: (.id | known), value: role} | select(.key != null and (.value == "user" or .value == "bot"))] | from_entries;
def of($roles): object | .id | known | if . == null then null else $roles[.] // (if startswith("28:") then "bot" elif startswith("29:") or startswith("dl_") then "user" else null end) end;
def who($roles): (.from | role) // (.from | of($roles))
  // ((.recipient | role) // (.recipient | of($roles)) | if . == "bot" then "user" elif . == "user" then "bot" else null end);
# what recipients and replies tell of the roles of others: Direct Line does not write the bot's
def learn($all; $authors): reduce $all[] as $a (.; . as $known | ($a.from | object | .id | known) as $from | $authors[$a.replyToId | known // ""] as $to | ($a | who($known)) as $role
  | if $from == null or $known[$from] != null then .
    elif $role == "user" or $role == "bot" then .[$from] = $role
    elif $role != null or $to == null or $to == $from then .
    elif ({id: $to} | of($known)) == "user" then .[$from] = "bot"
    elif ({id: $to} | of($known)) == null and ($a.channelId | known // "" | ascii_downcase | IN("directline", "webchat", "emulator")) then .[$from] = "bot" | .[$to] = "user"
    else . end);
def title: if type == "object" then [.title, .displayText, .text | said | values] | first else said end;
def choices: [.[] | title | values | "- " + .] | lines;
def input: (.type | type) == "string" and (.type | startswith("Input."));
# what an Adaptive Card shows above its buttons
def shown: if type == "array" then .[] | shown
  elif type != "object" or .isVisible == false then empty
  elif .type == "TextBlock" then .text | said | values
  elif .type == "RichTextBlock" then [.inlines | list[] | if type == "object" then .text else . end | strings] | join("") | said | values
  elif .type == "FactSet" then .facts | list[] | objects | [(.title | said | values | rtrimstr(":")), (.value | said | values)] | select(length > 0) | join(": ")
  elif input then ([.label, (if .type == "Input.Toggle" then .title else null end), .placeholder | said | values] | first | values), (.choices | list | choices | values)
  elif (.type | type) == "string" and (.type | startswith("Action.")) then .card | shown
  else .[] | shown end;
def actions: [.. | objects | .actions | arrays | .[] | objects | select(.isVisible != false)];
def kind: .contentType | known | if . == null then "" else ascii_downcase | split(";")[0] end;
def words: kind as $kind | (.content | json) as $c
  | if $kind == "application/vnd.microsoft.card.adaptive" then ([$c | shown] + [$c | actions | choices]) | lines
    elif $kind | startswith("application/vnd.microsoft.card.") then $c | object
      | [(.title, .subtitle, .text | html), (.items | list[] | objects | [.title, .subtitle, .price | said | values] | join(", ")),
         (.facts | list[] | objects | [.key, .value | said | values] | join(": ")), (.total | said), (.buttons | list | choices)] | lines
    else null end;
def pictures: kind as $kind | (.content | json) as $c
  | if $kind == "application/vnd.microsoft.card.adaptive" then if words == null then [$c | .. | objects | select(.type == "Image") | {url: .url, name: .altText}] else [] end
    elif $kind | startswith("application/vnd.microsoft.card.") then $c | object | [((.images | list[]), .image, (.media | list[])) | if type == "object" then {url: .url, name: .alt} else {url: .} end | select(.url != null)]
    elif $kind == "text/html" and .contentUrl == null then []
    else [{url: .contentUrl, name: .name}] end;
def enclosed: [.attachments | list[] | objects];
def files: [enclosed[] | pictures[] | file(.url; .name) | values] | reduce .[] as $f ([]; if any(.[]; .url == $f.url) then . else . + [$f] end);
def written: ([.text | if type == "string" then gsub("</?at\\b[^>]*>"; "") else . end] | first) as $text
  | (if (.textFormat | known // "" | ascii_downcase) == "xml" then $text | html else $text | said end)
    // ([enclosed[] | select(kind == "text/html") | .content | html | values] | first) // (.speak | if type == "string" then ssml2text else . end | said);
def key: if type == "string" then . else tojson end;
# the buttons and the fields that somebody may use, with what their use sends
def buttons: [((.suggestedActions | object | .actions | list[]), (enclosed[] | .content | json | objects | (.buttons | list[]))) | objects | {title: title, sends: .value}],
  [enclosed[] | .content | json | actions[] | {title: title, id: (.id | known), sends: .data}] | .[] | select(.title != null);
def fields: [enclosed[] | .content | json | .. | objects | select(input and .style != "password" and .style != "Password") | {id: (.id | known), label: ([.label, .title, .placeholder, .id | said | values] | first),
    choices: ([.choices | list[] | objects | select((.value | known) != null) | {key: (.value | known), value: title}] | from_entries)} | select(.id != null)];
def answer($field): if type == "boolean" then tostring else known end | if . == null then null
  else [split(",")[] | $field.choices[.]] as $chosen | if any($chosen[]; . == null) then . else $chosen | join(", ") end end;
def form($offers): . as $v
  | ([$offers[] | .buttons[]] | reverse | ([.[] | select((.sends | type) == "object" and .sends != {} and ([.sends | to_entries[] | $v[.key] == .value] | all))] | first)
     // ([.[] | select(.id != null and .id == ($v.actionSubmitId | known))] | first) // ([$offers | last | .buttons | arrays | select(length == 1)[]] | first) // {}) as $button
  | [$button.title, ([$offers[] | .fields[]] | reverse | reduce .[] as $f ([]; if any(.[]; .id == $f.id) then . else [$f] + . end) | .[] | . as $field | $v[.id] | answer($field) | values | $field.label + ": " + .)] | lines;
# a click arrives as what its button sends: the customer saw its title
def clicked($offers): ([$offers[] | .buttons[] | select(.sends != null) | {key: (.sends | key), value: .title}] | from_entries) as $titles
  | written as $text | (.channelData | object) as $channel | .value as $value
  | ($channel.messageBack | object | .displayText | said)
    // (if $channel.postBack == true or $text == null then (if $text == null then null else $titles[$text] end) // (if $value == null then null else $titles[$value | key] end) else null end)
    // $text // ($value | json | if type == "object" then form($offers) else null end);
def counted: if type == "string" and IN("conversationUpdate", "contactRelationUpdate", "installationUpdate", "endOfConversation", "event", "invoke", "invokeResponse", "typing", "trace", "handoff", "messageReaction",
    "messageUpdate", "messageDelete", "command", "commandResult", "suggestion", "deleteUserData", "delay", "deleted message") then . else "activity of an unknown type" end;
def said_by($role; $offers): (if $role == "user" then clicked($offers) else [written, (enclosed[] | words), (.suggestedActions | object | .actions | list | choices)] | lines end) as $text | files as $files | at as $at
  | if $role == null then dropped("message of an unknown sender")
    elif $role == "other" then dropped("message of another role")
    elif $text == null and $files == [] and enclosed != [] then dropped("attachment that cannot be sent")
    elif $text == null and $role == "user" and .value != null then dropped("click without a label")
    else {id: (.id | known), text: $text, attachments: $files, format: (if $role == "bot" and (.textFormat | known // "" | ascii_downcase) == "markdown" then "markdown" else null end)} | message($role; $at) end;
def sent($roles; $offers): (.type | known) as $type
  | if $type == "message" or ($type == "endOfConversation" and (.text | said) != null) then said_by(who($roles); $offers) else dropped($type | counted) end;
def messages($roles): [foreach .[] as $a ([]; if $a.type == "message" and ($a | who($roles)) == "bot" then ($a | {buttons: [buttons], fields: fields}) as $new | if $new == {buttons: [], fields: []} then . else . + [$new] end else . end; . as $offers | $a | sent($roles; $offers))];
def phone_channel: .channelId | known // "" | ascii_downcase | test("sms|twilio|whatsapp|telephony|phone");
def end_user($roles): [.[] | select((.type | IN("message", "conversationUpdate", "event", "invoke")) and (.from | object) != {} and who($roles) == "user")] as $all
  | {external_id: ([$all[] | .from.aadObjectId | person | values] | first), name: ([$all[] | .from.name | person | values] | first),
     email: ([$all[] | .from.email, (if .channelId == "email" then .from.id else null end) | email | values] | first),
     phone: ([$all[] | select(phone_channel) | .from.id | phone | values] | first)} | compact | given_id("botframework:"; $all[] | .from.id | person | values);
def channel: [.[] | .channelId | known | values] | first;
[.[] | if type == "object" and has("type") then . else foreign("it is no activity: it has no type") end]
# what is there twice counts once
| reduce .[] as $a ({seen: {}, all: []}; ($a | [.id, .type, .text, .value, .attachments] | tojson) as $key
    | if ($a.id | known) != null and .seen[$key] then .all += [dropped("activity that is there twice")] else .seen[$key] = true | .all += [$a] end)
| .all | [.[] | select(has("_drop"))] as $twice | [.[] | select(has("_drop") | not)]
| (reduce (.[] | select(.type == "messageUpdate" and (.id | known) != null)) as $a ({}; .[$a.id | known] = $a)) as $updates
| (reduce (.[] | select(.type == "messageDelete" and (.id | known) != null)) as $a ({}; .[$a.id | known] = true)) as $deleted
| ([.[] | {key: (.id | known), value: (.from | object | .id | known)} | select(.key != null and .value != null)] | from_entries) as $authors
| . as $all | (roles | learn($all; $authors) | learn($all; $authors)) as $roles
| ([.[] | select(.type == "message") | at | values] | last) as $last
| (.[0].conversation | if type == "object" then .id else . end | known) as $id
| ([.[] | select(.type == "endOfConversation") | at | values] | last | if . != null and ($last == null or . >= $last) then . else null end) as $end
| {id: $id, created_at: ([.[] | at | values] | first), closed_at: $end,
   end_user: end_user($roles),
   attributes: ({channel: channel, language: ([.[] | .locale | known | values] | first)} | compact),
   messages: ($twice + [[.[] | (.id | known) as $key
       | if .type != "message" or $key == null then .
         elif $deleted[$key] then . + {type: "deleted message"}
         elif $updates[$key] != null then . + ($updates[$key] | {text, attachments, suggestedActions, textFormat})
         else . end] | messages($roles)[]])}
| compact
