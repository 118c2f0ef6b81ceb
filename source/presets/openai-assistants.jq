# title: OpenAI Assistants, threads with their messages
# record: a thread with the list of its messages
# export: GET /threads/{id} joined with all pages of its /messages
# external_id: user_id in metadata of the thread
# other_ids: email, phone, name in metadata
# lists: if .object == "thread" and (has("messages") | not) then "it is a thread without messages: join it with all pages of GET /threads/{id}/messages" elif .object == "thread.run" then "it is a run, and not a thread: export threads with their messages" else null end
# marks: messages
# detect: list | length > 0 and all(.[]; type == "object") and any(.[]; .object == "thread.message" or (.content | type == "array" and any(.[]; type == "object" and (.text | type) == "object" and (.text | has("value")))))
# closed: idle 1h
# The API lists messages newest first; they are put in the order of their times. A thread counts as closed if nobody wrote for an hour before the end of the
# data: write closed: file if the export holds nothing that still goes on. Marks at quotations are removed. The end-user is taken from the thread's metadata.
# the application says that it still goes on: an end that is null, or a status
def ongoing: if type != "object" then false else [.closed_at, .ended_at, .closedAt, .endedAt | values] == []
  and (has("closed_at") or has("ended_at") or has("closedAt") or has("endedAt") or ((.status // .state) | IN("open", "active", "ongoing", "in_progress", "pending", "waiting"))) end;
def list: .messages | if type == "object" then .data else . end | if type == "array" then . else [] end;
def words: .content | if type == "array" then [.[] | if type == "string" then . elif type != "object" then null elif .type == "text" then (.text | if type == "object" then .value else . end | citations) elif .type == "refusal" then .refusal else null end] | lines else said end;
def attached: [.content | arrays | .[] | objects | select(.type == "image_url") | file(.image_url | if type == "object" then .url else . end; null) | values];
(if (.thread | type) == "object" then .thread else {} end) as $thread
| if (.messages | type | IN("array", "object")) | not then foreign("it has no list of messages") else . end
| {id: (($thread.id // .thread_id // (.thread | if type == "string" then . else null end) // .id // list[0].thread_id) | known), created_at: (($thread.created_at // .created_at) | totime),
   _open: (ongoing or ($thread | ongoing) or any(list[]; .status == "in_progress")), closed_at: ((.closed_at // .ended_at) | totime),
   end_user: ((($thread.metadata // {}) | identity) + ((.metadata // {}) | identity)),
   messages: [list | oldest_first(.created_at | totime) | .[] | (.created_at | totime) as $at
     | if .role | IN("user", "assistant") then .role as $role | {id: (.id | known), text: words, attachments: attached, format: (if $role == "assistant" then "markdown" else null end)}
         | message(if $role == "user" then "user" else "bot" end; $at) else dropped(.role // "message without role") end]}
| compact
