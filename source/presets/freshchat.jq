# title: Freshchat conversations with their messages and users
# record: a conversation joined with its messages and users
# marks: messages
# detect: (.messages | type == "array") and any(.messages[]; type == "object" and has("message_parts") and has("actor_type"))
# closed: marker
# Join GET /conversations/{id}, its /messages (all pages) and its users. Resolved conversations are closed, at their last message. Private and system messages are dropped.
# Freshchat does not tell bots from agents: what an actor of type agent wrote is an agent's. Name your bots in a copy, in the function bots.
def bots: [];
def part: if type != "object" then null
  elif has("text") then (.text | if type == "object" then .content else . end | if type == "string" then html2text else null end)
  elif has("url_button") then (.url_button | [.label | said | values | "- " + .] | lines)
  elif has("quick_reply_button") then (.quick_reply_button | (.custom_reply_text // .label) | said | if . == null then null else "- " + . end)
  elif has("collection") then [.collection.sub_parts | if type == "array" then .[] else empty end | part] | lines
  elif has("template_content") then [.template_content | .sections? | if type == "array" then .[] else empty end | .parts? | if type == "array" then .[] else empty end | part] | lines
  else null end;
def list(x): x | if type == "array" then . else [] end;
def words($who): [(list(.message_parts)[] | part | if $who == "user" and type == "string" then ltrimstr("- ") else . end), (list(.reply_parts)[] | part)] | lines;
def files: [(list(.message_parts)[], (list(.message_parts)[] | select(type == "object" and has("collection")) | list(.collection.sub_parts)[])) | if type != "object" then null elif has("image") then file(.image.url; null) elif has("file") then file(.file.url; (.file.name // .file.file_name)) elif has("video") then file(.video.url; null) else null end | values];
def who: .actor_id as $id | if .actor_type == "user" then "user" elif .actor_type == "bot" or .actor_type == "system" or (bots | index($id)) then "bot" elif .actor_type == "agent" then "agent" else null end;
def one: who as $who | (.created_time | totime) as $at
  | if .message_type == "private" then dropped("private note") elif .message_type != "normal" then dropped(.message_type // "message without type") elif $who == null then dropped("message of an unknown actor")
    else {id: (.id | known), text: words($who), attachments: files} | message($who; $at) end;
(if (.conversation | type) == "object" then .conversation else {} end) as $c
| if (.messages | type) != "array" then foreign("it has no messages") else . end
| if .link != null and (.link | type) == "object" and (.link.rel? == "next_page" or .link.href? != null) then refuse("its messages have more pages: export the conversation with all of them") else . end
| (($c.status // .status) | if type == "string" then ascii_downcase else . end) as $status
| if $status | IN("resolved", "new", "assigned", "reopened", "open") then . else refuse("its status is none of new, assigned, resolved and reopened: join the conversation with its messages") end
| ([.messages[] | select(.actor_type == "user") | .actor_id] | first) as $customer
| ([(if (.user | type) == "object" then .user else empty end), (list(.users), list($c.users) | .[] | select(type == "object"))] | (map(select(.id == $customer)) + .) | first) as $user
| {id: (($c.conversation_id // .conversation_id // $c.id // .id // .messages[0].conversation_id) | known), created_at: (($c.created_time // .created_time) | totime),
   _closed: ($status == "resolved"), _open: ($status != "resolved"),
   end_user: ({external_id: (($user.reference_id? | person) // ($user.id? | person) // ($customer | person)), email: ($user.email? | email), phone: ($user.phone? | phone),
     name: ([$user.first_name?, $user.last_name? | said | values] | join(" ") | person)} | compact),
   messages: [.messages | oldest_first(.created_time | totime) | .[] | one]}
| compact
