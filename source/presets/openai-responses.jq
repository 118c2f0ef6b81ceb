# title: OpenAI conversations with their items (Conversations and Responses API)
# record: a conversation with the list of its items
# export: GET /conversations/{id} joined with all pages of its /items?order=asc
# external_id: user_id in metadata of the conversation
# other_ids: email, phone, name in metadata
# lists: if .object == "conversation" and (has("items") | not) then "it is a conversation without items: join it with all pages of GET /conversations/{id}/items?order=asc" elif .object == "response" then "it is the response of one turn: export conversations with all their items" else null end
# marks: items
# detect: list | length > 0 and all(.[]; type == "object" and (.type | type) == "string") and any(.[]; .type == "message" and (.content | type) == "array")
# closed: file
# The API lists items newest first, and they have no times: fetch them with order=asc, for nothing in them shows their order. A conversation of which the
# list says has_more is refused, as its other items are missing. Only messages of user and assistant are sent; commentary between tool calls, reasoning and
# tool calls are dropped. The end-user is taken from the conversation's metadata (user_id, email, phone, name).
# the application says that it still goes on: an end that is null, or a status
def ongoing: if type != "object" then false else [.closed_at, .ended_at, .closedAt, .endedAt | values] == []
  and (has("closed_at") or has("ended_at") or has("closedAt") or has("endedAt") or ((.status // .state) | IN("open", "active", "ongoing", "in_progress", "pending", "waiting"))) end;
def list: .items | if type == "object" then .data else . end | if type == "array" then . else [] end;
def words($role): [(.content | if type == "array" then .[] else . end) | if type == "string" then . elif type != "object" then null elif .type | IN("input_text", "output_text", "text") then .text elif .type == "refusal" then .refusal else null end
    | if $role == "assistant" then citations else . end] | lines;
def attached: [.content | arrays | .[] | objects | if .type == "input_image" then file(.image_url; null) elif .type == "input_file" then file(.file_url; .filename) else null end | values];
def item: if .type != "message" and .type != null then dropped(.type)
  elif (.role | IN("user", "assistant")) | not then dropped(.role // "message without role")
  elif .phase == "commentary" then dropped("commentary")
  else .role as $role | {id: (.id | known), text: words($role), attachments: attached, format: (if $role == "assistant" then "markdown" else null end)}
    | message(if $role == "user" then "user" else "bot" end; null) end;
def at($t): if has("_drop") then . else .created_at = $t | compact end;
(if (.conversation | type) == "object" then .conversation else {} end) as $c
| if (.items | type | IN("array", "object")) | not then foreign("it has no list of items") else . end
| {id: (($c.id // (.conversation | if type == "string" then . else null end) // .conversation_id // .id) | known),
   created_at: (($c.created_at // .created_at) | totime), closed_at: ((.closed_at // .ended_at) | totime),
   _open: (ongoing or ($c | ongoing) or any(list[]; .status == "in_progress")),
   end_user: ((($c.metadata // {}) | identity) + ((.metadata // {}) | identity)),
   messages: [list[] | ((.created_at // null) | totime) as $at | item | at($at)]}
| compact
