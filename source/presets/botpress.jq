# title: Botpress Cloud conversations
# record: a conversation joined with its messages and users
# marks: messages
# detect: (.messages | type == "array") and any(.messages[]; type == "object" and has("payload") and has("direction"))
# closed: idle 1h
# Join listConversations, listMessages and the users. A conversation counts as closed if nobody wrote for an hour before the end of the data: write closed: file if the export
# holds nothing that still goes on. What was outgoing is the bot's.
def list(x): x | if type == "array" then . else [] end;
def actions: list(.actions) | options;
def cardtext: [(.title, .subtitle | said), actions] | lines;
def body: .payload | json | if type == "object" then . else {} end;
def kind: .type // body.type;
def words($kind): body | if IN($kind; "text") then .text | said elif $kind == "markdown" then (.markdown // .text) | said
  elif IN($kind; "choice", "dropdown") then [(.text | said), (list(.options) | options)] | lines elif $kind == "card" then cardtext elif $kind == "carousel" then [list(.items)[] | if type == "object" then cardtext else null end] | lines
  elif $kind == "location" then [(.title, .address | said), "\(.latitude), \(.longitude)"] | lines elif $kind == "bloc" then [list(.items)[] | if type == "object" then ((.payload | if type == "object" then . else {} end) | (.text // .markdown) | said) else null end] | lines
  elif IN($kind; "image", "audio", "video", "file") then .title | said else null end;
def one_file: file((.imageUrl // .fileUrl // .audioUrl // .videoUrl); .title);
def files($kind): [body | if $kind == "carousel" then list(.items)[] | if type == "object" then one_file else null end elif $kind == "bloc" then list(.items)[] | if type == "object" then (.payload | if type == "object" then one_file else null end) else null end else one_file end | values];
def known_kind: IN("text", "markdown", "choice", "dropdown", "card", "carousel", "location", "bloc", "image", "audio", "video", "file");
def one: kind as $kind | (.createdAt | totime) as $at | (if .direction == "incoming" then "user" elif .direction == "outgoing" then "bot" else null end) as $who
  | if $who == null then dropped("message of an unknown direction") elif ($kind | known_kind | not) then dropped($kind // "message without type")
    else {id: (.id | known), text: words($kind), attachments: files($kind), format: (if $kind == "markdown" then "markdown" else null end)} | message($who; $at) end;
(if (.conversation | type) == "object" then .conversation else . end) as $c
| if (.messages | type) != "array" then foreign("it has no messages") else . end
| if (.meta | type) == "object" and (.meta.nextToken // "") != "" then refuse("its messages have more pages: export the conversation with all of them") else . end
| ([.messages[] | if type == "object" then . else refuse("a message is not an object: correct the record") end] | oldest_first(.createdAt | totime)) as $messages
| ([$messages[] | select(.direction == "incoming") | .userId | values] | first) as $id
| ([list(.users)[], list(.participants)[], (if (.user | type) == "object" then .user else empty end) | select(type == "object")] | (map(select(.id == $id)) + []) | first) as $user
| (($user.tags? | identity) + ($c.tags | identity)) as $tags
| {id: (($c.id // .conversationId // $messages[0].conversationId) | known), created_at: ($c.createdAt | totime),
   end_user: ({external_id: (($user.id? // $id) | person), name: ($user.name? | person)} + ($tags) + ($user | identity | del(.external_id)) | compact),
   attributes: ({channel: ($c.channel | known)} | compact), messages: [$messages[] | one]}
| compact
