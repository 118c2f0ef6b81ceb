# title: Freshchat conversations with their messages and users
# record: a conversation joined with its messages and users
# export: GET /conversations/{id}, joined with all pages of its /messages and with /users/{id}
# external_id: reference_id of the user; else freshchat:<user id> (*)
# other_ids: email, phone, first_name and last_name of the user
# lists: if (has("conversation_id") or has("id")) and has("channel_id") and has("status") and (has("messages") or has("message_parts") | not) then "it is a conversation without messages, as Freshchat returns it: join it with all pages of GET /conversations/{id}/messages" else null end
# marks: messages
# detect: (.messages | json | if type == "object" then .messages else . end | if type == "array" then map(objects) else [] end) as $m | ($m | any(has("message_parts") or (has("actor_type") and has("message_type")))) or ($m == [] and has("conversation_id") and (has("channel_id") or has("assigned_agent_id")))
# closed: marker
# Join the conversation, its messages (all pages of /conversations/{id}/messages) and its users (/users/{id}): the conversation's fields with
# messages and users beside them, or {conversation, messages, users}.
# Resolved conversations are closed, when a message said so, else at their last message. All others are open.
# Private messages are notes, and system messages are a log: both are dropped.
# Freshchat does not tell bots from people: what an actor of the type agent wrote is an agent's message. To name your bots, run
# `dixa-import formats show freshchat > mine.jq`, write the ids of their actors into the list bots, such as def bots: ["4f0d…", "77c1…"];
# and set source.transform to {file: mine.jq} beside source.format: freshchat. What an actor of the type system wrote to the customer is the bot's.
def bots: [];
def object: json | if type == "object" then . else {} end;
def list(name): json | if type == "object" then .[name] | json else . end | if type == "array" then . else null end;
# texts are escaped as in HTML; one without tags keeps its line feeds
def html: if type != "string" then null
  elif test("<[A-Za-z/!][^>]*>") then html2text
  elif test("&(#[0-9]+|#[xX][0-9A-Fa-f]+|[A-Za-z][A-Za-z0-9]*);") then gsub("\r?\n"; "<br>") | html2text
  else . end | said;
def ordered(at): (if length > 1 and (first | at) != null and (last | at) != null and (first | at) > (last | at) then reverse else . end)
  | [foreach .[] as $m (null; ($m | at) // .; {at: ., $m})] | sort_by(.at) | map(.m);
# the parts of a message, without the collections and templates around them
def flat: if type != "object" then {}
  elif has("collection") then (.collection | object | .sub_parts | list("sub_parts") // [] | .[] | flat)
  elif has("template_content") then (.template_content | object | .sections | list("sections") // [] | .[] | objects | .parts | list("parts") // [] | .[] | flat)
  else . end;
def parts: [.message_parts | list("message_parts") // [] | .[] | flat];
def offers: [.reply_parts | list("reply_parts") // [] | .[] | flat];
def known_part: has("text") or has("image") or has("video") or has("audio") or has("file") or has("url_button") or has("quick_reply_button");
# in a message of the user a button is what was clicked
def words($role): [if has("text") then (.text | if type == "object" then .content else . end | html) else empty end,
  (.quick_reply_button | objects | if $role == "user" then (.custom_reply_text | html) // (.label | html) else ((.label | html) // (.custom_reply_text | html) | values | "- " + .) end),
  (.url_button | objects | (.label | html) // (.url | said) | values | if $role == "user" then . else "- " + . end)] | lines;
def enclosed: [parts[] | (.image, .video, .audio | if type == "string" then {url: .} else objects | {url, name: .name} end), (.file | if type == "string" then {url: .} else objects | {url, name: (.name // .file_name)} end)]
  + [parts[] | .text | if type == "object" then .content else . end | strings | scan("<img\\b[^>]*?\\ssrc\\s*=\\s*[\"']([^\"']+)[\"']"; "i") | {url: (first | gsub("&amp;"; "&"))}];
def who: .actor_id as $id
  | if .actor_type == "user" then "user"
    elif .actor_type == "system" or .actor_type == "bot" then "bot"
    elif .actor_type == "agent" then (if $id != null and any(bots[]; . == $id) then "bot" else "agent" end)
    else null end;
def sent($at): who as $role | ([(parts[], if $role == "user" then empty else offers[] end) | words($role)] | lines) as $words
  | [enclosed[] | file(.url; .name) | values] as $files
  | if $words == null and $files == [] then dropped(if enclosed != [] then "attachment without a web address" else $role + " without text" end)
    else {id: (.id | known), text: $words, attachments: $files} | message($role; $at) end;
def one: (.created_time | totime) as $at | (.message_type | if type == "string" then ascii_downcase else null end) as $kind
  | if $kind == "private" then dropped("private note")
    elif $kind == "system" then dropped("system")
    elif $kind != "normal" then dropped("message of an unknown type")
    elif who == null then dropped("message of an unknown actor")
    else sent($at) end,
    (parts[] | select(known_part | not) | dropped("part of an unknown type"));
if type != "object" or (has("messages") | not) then foreign("it has no messages") else . end
| . as $r
| ($r + ($r.conversation | object)) as $c
| ($r.messages | list("messages")) as $list
| if $list == null then refuse("its messages are no array: join the conversation with all its messages") else . end
| ([$list[] | json | if type == "object" then . else refuse("one of its messages is not an object: correct the record") end] | ordered(.created_time | totime)) as $all
| if [$all[] | .conversation_id | known | values] | unique | length > 1 then refuse("its messages belong to several conversations: join each conversation with its own") else . end
| ($c.status | if type == "string" then ascii_downcase else "" end) as $status
| if $status | IN("resolved", "new", "assigned", "reopened", "open") then . else refuse("its status is none of new, assigned, resolved and reopened: join the conversation with its messages") end
| [$all[] | one] as $messages
| ([$all[] | select(.actor_type == "user") | .actor_id | known | values] | first) as $customer
| ([$r.user, ($r.users | list("users") // [] | .[]), ($r.conversation | object | .users | list("users") // [] | .[])]
   | map(json | objects | if (.user | type) == "object" then .user else . end | select((.id | known) | . == null or $customer == null or . == $customer))) as $users
| ([$messages[] | .created_at | values] | max) as $last
| ([$all[] | select(.meta_data | object | .isResolved == true) | .created_time | totime | values] | max) as $resolved
| {id: (($c.conversation_id | known) // ($c.id | known) // ([$all[] | .conversation_id | known | values] | first)), created_at: ($c.created_time | totime),
   closed_at: (if $status != "resolved" then null else ([$resolved, $last] | map(values) | max) // ($c.created_time | totime) // (if $list == [] then "1970-01-01T00:00:00Z" else refuse("it is resolved, but neither it nor its messages have a time: export created_time") end) end),
   end_user: ({external_id: first(($users[] | .reference_id | person | values), null),
     email: first(($users[] | .email | email | values), null), phone: first(($users[] | .phone | phone | values), null),
     name: first(($users[] | [.first_name, .last_name | person | values] | select(. != []) | join(" ")), null)} | compact | given_id("freshchat:"; ($users[] | .id | person | values), ($customer | person))),
   messages: $messages}
| compact
