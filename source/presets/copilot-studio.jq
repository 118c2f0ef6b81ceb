# title: Microsoft Copilot Studio (Power Virtual Agents), the table conversationtranscript of Dataverse
# record: a row of conversationtranscript, whose content is JSON with the activities
# export: GET /api/data/v9.2/conversationtranscripts of Dataverse, with content
# external_id: aadObjectId of the user; else copilot-studio:<from.id> (*)
# other_ids: from.email, from.name; from.id on the channels of phones and e-mail
# lists: if (has("conversationtranscriptid") or has("conversationstarttime")) and (has("content") | not) then "it is a row of conversationtranscript without its column content: export that column as well" else null end
# marks: conversationtranscriptid content
# closed: file
# Export rows with at least conversationtranscriptid, conversationstarttime and content, as in GET /api/data/v9.2/conversationtranscripts: answers of that
# request are taken as they are. Dataverse deletes rows after 30 days by default.
# A row is a conversation, and its id is conversationtranscriptid. The conversation id of a channel, which is a part of name, is not used: Teams
# has one for ever, and Dataverse writes a row after each pause.
# A row is written when its conversation is over. It is closed at the endTimeUtc of its last session, else at its last message.
# Only activities of the type message are sent. Events, traces and the steps of plans are dropped. Chats of the test pane, and runs of autonomous agents
# that nobody talked to, are left out and counted.
# Answers of people after a handover are not in these rows.
# Cards become text with their buttons as lines. A click, and what somebody wrote into the fields of a card, show with the titles that they had there.
# The customer's id is the aadObjectId, else the id of the channel.
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
    "messageUpdate", "messageDelete", "command", "commandResult", "suggestion", "deleteUserData", "delay") then . else "activity of an unknown type" end;
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
     phone: ([$all[] | select(phone_channel) | .from.id | phone | values] | first)} | compact | given_id("copilot-studio:"; $all[] | .from.id | person | values);
def channel: [.[] | .channelId | known | values] | first;
if type != "object" then foreign("it is no row of conversationtranscript") else with_entries(.key |= (ascii_downcase | gsub(" "; ""))) end
| if has("content") then . else foreign("it has no content") end
| . as $row
| (.content | json | if type == "object" then .activities | json else . end) as $content
| if ($content | type) == "array" then . else refuse("its content is not JSON with activities: export the whole column content") end
| [$content[] | json | if type == "object" then . else refuse("one of its activities is not an object: correct the row") end] as $all
| ($all | roles) as $roles
| [$all[] | select(.valueType == "SessionInfo") | .value | object] as $sessions
| [$all[] | select(.valueType == "ConversationInfo") | .value | object] as $info
| if any($info[]; .isDesignMode == true or .isDesignMode == "true") then dropped("chat of the test pane")
  elif ($all | channel) == "pva-autonomous" then dropped("run of an autonomous agent")
  else {id: (($row.conversationtranscriptid | known) // ($row.conversationtranscript | known) // ($row.name | known)), created_at: ($row.conversationstarttime | sure),
    closed_at: ([$sessions[] | .endTimeUtc | sure | values] | max), end_user: ($all | end_user($roles)),
    attributes: ({outcome: ([$sessions[] | .outcome | said | values] | last), rating: ([$all[] | select(.valueType == "CSATSurveyResponse") | .value | object | .score | known | values] | last),
      language: (([$info[] | .locale | known | values] | last) // ([$all[] | .locale | known | values] | first)), channel: ($all | channel)} | compact),
    messages: ($all | messages($roles))} | compact end
