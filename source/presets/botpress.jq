# title: Botpress Cloud conversations
# record: a conversation joined with its messages and its users
# export: GET /v1/chat/conversations, joined with all pages of /v1/chat/messages?conversationId= and with the users
# external_id: a tag userId, customerId or externalId of the user or the conversation; else botpress:<userId> (*)
# other_ids: tags email, phone, name; name of the user
# lists: if has("integration") and has("channel") and has("id") and (has("messages") | not) then "it is a conversation without messages, as lists of conversations return it: join it with all pages of GET /v1/chat/messages?conversationId=" else null end
# marks: messages
# detect: (.messages | if type == "object" then .messages else . end) as $m | ($m | type) == "array" and ($m | any(type == "object" and has("payload") and (has("direction") or (has("conversationId") and has("userId"))))) or ($m == [] and (if (.conversation | type) == "object" then .conversation else . end | has("integration") and has("channel")))
# closed: idle 24h
# Join three lists of the API: the conversation, all pages of its messages, and its users or participants: {conversation, messages, users}, or the
# fields of the conversation with messages and users beside them.
# Botpress does not say when a conversation ends: it counts as closed if nobody wrote for a day before the end of the data. A customer who writes
# again goes on in the same conversation: what comes after a transcript was imported becomes a follow-up with transcripts.grown: follow_up.
# What is incoming is the customer's. What is outgoing is the bot's, or an agent's if the payload has a userId, which the HITL plugin sets in the
# webchat. On other channels Botpress does not tell agents from the bot. The copy of a conversation that the HITL plugin makes for agents, with
# the tag upstream, is left out, as in it the customer's words are outgoing.
# Texts that look like Markdown are sent as such. Messages of your own types are dropped.
def object: json | if type == "object" then . else {} end;
def list(name): json | if type == "object" then .[name] | json else . end | if type == "array" then . else null end;
def time: known | if . == null then null else totime end;
# sorts by time; what has none stays behind what was before it, and of equal times the order is kept
def ordered(at): (if length > 1 and (first | at) != null and (last | at) != null and (first | at) > (last | at) then reverse else . end)
  | [foreach .[] as $m (null; ($m | at) // .; {at: ., $m})] | sort_by(.at) | map(.m);
# the tags of an object by their names without the integration's: whatsapp:userPhone, hitl#upstream
def tags: .tags | object | with_entries(.key |= (sub("^.*[:#/]"; "") | ascii_downcase | gsub("[^a-z0-9]"; "")));
def body: .payload | object;
def kind: (.type | known) // (body.type | known);
def actions: [list("actions") // [] | .[] | objects | (.label // .title | said) as $label | (if .action == "url" then .value | weburl else null end) as $url
  | if $label == null then empty elif $url != null then "- \($label) (\($url))" else "- " + $label end] | lines;
def cardtext: [(.title, .subtitle | said), (.actions | actions)] | lines;
def place: [(.title, .address | said), (if (.latitude | known) != null and (.longitude | known) != null then "\(.latitude), \(.longitude)" else null end)] | lines;
def address: .imageUrl // .audioUrl // .videoUrl // .fileUrl // .url;
def picture: {url: address, name: .title} | select(.url != null);
# {text, files, markdown} of a payload, null if its type is not known
def content($type):
  if $type == "text" then {text: (.text | said)}
  elif $type == "markdown" then {text: (.markdown // .text | said), markdown: true}
  elif $type | IN("choice", "dropdown") then {text: ([.text, (.options | list("options") // [] | options)] | lines)}
  elif $type | IN("image", "audio", "video", "file") then {text: ([.text, .caption, (if address | weburl == null then .title else null end)] | lines), files: [picture]}
  elif $type == "location" then {text: place}
  elif $type == "card" then {text: cardtext, files: [picture]}
  elif $type == "carousel" then [.items | list("items") // [] | .[] | objects] as $cards | {text: ([$cards[] | cardtext] | lines), files: [$cards[] | picture]}
  elif $type == "bloc" then [.items | list("items") // [] | .[] | objects | kind as $inner | (if .payload == null then . else body end) | content($inner) // {unknown: [$inner // "part without a type"]}] as $parts
    | {text: ([$parts[] | .text] | lines), files: [$parts[] | .files // [] | .[]], markdown: any($parts[]; .markdown == true), unknown: [$parts[] | .unknown // [] | .[]]}
  else null end;
# what the customer may have clicked: the values of options by their labels
def choices: body | [(.options | list("options") // [] | .[]), ((., (.items | list("items") // [] | .[] | objects)) | .actions | list("actions") // [] | .[])]
  | map(objects | {key: (.value | known), value: (.label // .title | said)} | select(.key != null and .value != null)) | from_entries;
def titled($titles): known | if . == null then null else $titles[.] end;
def looks_marked: . != null and test("\\*\\*|\\]\\(https?:|(^|\n)#{1,6} ");
def one($titles): kind as $kind | (.createdAt | time) as $at | body as $body
  | (if .direction == "incoming" then "user" elif .direction != "outgoing" then null elif ($body.userId | known) != null then "agent" else "bot" end) as $role
  | (if $role == "user" and ($kind | IN("postback", "say", "quick_reply")) then {text: (($body.title // $body.text // $body.label | said) // ($body.payload // $body.value | titled($titles)))}
     else $body | content($kind) end) as $content
  | if $role == null then dropped("message of an unknown direction")
    elif $kind == null then dropped("message without a type")
    elif $content == null then dropped($kind)
    else ($content.text // (if $role == "user" then $body.value | titled($titles) else null end)) as $text
      | (if $role == "user" then ($text | titled($titles)) // $text else $text end) as $text
      | [$content.files // [] | .[] | file(.url; .name) | values] as $files
      | if $text == null and $files == [] and ($content.files // []) != [] then dropped("attachment without a web address")
        elif $text == null and $files == [] and ($content.unknown // []) != [] then empty
        else {id: (.id | known), text: $text, attachments: $files, format: (if $content.markdown == true or ($role != "user" and ($text | looks_marked)) then "markdown" else null end)} | message($role; $at) end,
        ($content.unknown // [] | .[] | dropped(.)) end;
if type != "object" or (has("messages") | not) then foreign("it has no messages") else . end
| . as $r
| (if ($r.conversation | type) == "object" then $r.conversation else $r end) as $c
| ($r.messages | list("messages")) as $list
| if $list == null then refuse("its messages are no array: join the conversation with all its messages") else . end
| [$list[] | json | if type == "object" then . else refuse("one of its messages is not an object: correct the record") end] as $list
| if [$list[] | .conversationId | known | values] | unique | length > 1 then refuse("its messages are of several conversations: make a record of each conversation") else . end
| if $list != [] and all($list[]; .direction == null) then refuse("its messages do not say whether they are incoming or outgoing: export them through the runtime API") else . end
| if ($c | tags | .upstream | known) != null or $c.integration == "hitl" then dropped("copy of a conversation for agents")
  else
    ($list | ordered(.createdAt | time)) as $all
    | [foreach $all[] as $m ({titles: {}};
        if $m.direction == "incoming" then {titles, used: true} elif .used then {titles: ($m | choices)} else {titles: (.titles + ($m | choices))} end;
        .titles as $titles | $m | one($titles))] as $messages
    | first(($all[] | select(.direction == "incoming") | .userId | known | values), null) as $user
    | [($r.users, $r.participants | json | if type == "object" then (.users // .participants // [.[]]) else . end | arrays | .[]), $r.user | json | objects | if (.user | type) == "object" then .user else . end] as $users
    | first(($users[] | select($user != null and (.id | known) == $user)), {}) as $customer
    | [($customer, $c) | tags] as $tags
    | {id: (($c.id | known) // ($r.conversationId | known) // first(($list[] | .conversationId | known | values), null)), created_at: ($c.createdAt | time),
       end_user: ({external_id: (first(($customer, $c | .tags | object | .user_id, .userId, .customer_id, .customerId, .external_id, .externalId | person | values), null)),
         email: first((($customer.email, ($tags[] | .email, .useremail)) | email | values), null),
         phone: first((($customer.phone, ($tags[] | .phone, .phonenumber, .userphone)) | phone | values), null),
         name: first((($customer.name, ($tags[] | .name, .fullname, .username)) | person | values), null)} | compact | given_id("botpress:"; $user | person)),
       attributes: ({channel: (($c.integration | known) // ($c.channel | known))} | compact),
       messages: $messages}
    | compact
  end
