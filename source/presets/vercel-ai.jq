# title: Vercel AI SDK, chats with UI messages
# record: a chat with its messages, each with parts
# export: chats with their UI messages, from your database or its API
# external_id: userId, or id of user
# other_ids: email, phone, name in metadata or user
# lists: if has("userId") and has("title") and has("visibility") and (has("messages") | not) then "it is a chat without messages: join it with its messages" else null end
# marks: messages
# detect: .messages | type == "array" and length > 0 and all(.[]; type == "object" and has("role")) and any(.[]; (.parts | type) == "array" and any(.parts[]; type == "object" and (.type | type) == "string"))
# closed: idle 1h
# A chat counts as closed if nobody wrote for an hour before the end of the data: write closed: file if the export holds nothing that still goes on.
# Only text and files of user and assistant are sent. A message has a time if the application set createdAt, or createdAt in its metadata.
# the application says that it still goes on: an end that is null, or a status
def ongoing: if type != "object" then false else [.closed_at, .ended_at, .closedAt, .endedAt | values] == []
  and (has("closed_at") or has("ended_at") or has("closedAt") or has("endedAt") or ((.status // .state) | IN("open", "active", "ongoing", "in_progress", "pending", "waiting"))) end;
def texts: if type == "array" then [.[] | objects | select(.type == "text") | .text] | lines else said end;
def words: (.parts | texts) // (.content | texts);
def attached: [(.parts | arrays | .[] | objects | select(.type == "file") | file(.url; .filename)), ((.experimental_attachments // .attachments) | arrays | .[] | objects | file(.url; (.name // .filename))) | values] | unique_by(.url);
def when: (.createdAt // .created_at // (.metadata | if type == "object" then .createdAt // .created_at else null end)) | totime;
def hidden: .parts | arrays | .[] | objects | .type | strings | select(IN("text", "file") | not) | if startswith("tool-") or . == "dynamic-tool" then "tool" elif startswith("data-") then "data" else . end | dropped(.);
def said_by: .role as $role
  | if ($role | IN("user", "assistant")) | not then dropped($role // "message without role")
  else ({id: (.id | known), text: words, attachments: attached, format: (if $role == "assistant" then "markdown" else null end), at: when}
      | .at as $at | del(.at) | message(if $role == "user" then "user" else "bot" end; $at)), hidden end;
if (.messages | type) != "array" then foreign("it has no array of messages") else . end
| {id: ((.id // .chatId // .chat_id) | known), created_at: ((.createdAt // .created_at) | totime), closed_at: ((.closedAt // .closed_at // .endedAt // .ended_at) | totime), _open: ongoing,
   end_user: ((.metadata | identity) + (.user | account)
     + ({external_id: ((.userId // .user_id // (.user | if type == "string" then . else null end)) | person)} | compact) | if ((.email // "") | startswith("guest-")) then del(.email) else . end),
   messages: [.messages[] | if type != "object" then refuse("a message is not an object: correct the record") else said_by end]}
| compact
