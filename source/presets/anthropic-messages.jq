# title: Anthropic messages, as an application stored them
# record: an object with messages, or with the request and the response of a call
# export: the messages of each chat in one object, as your application stored them
# external_id: user_id and its like, in the record or its metadata
# other_ids: email, phone, name and their like, there
# detect: (turns | type == "array" and length > 0 and all(.[]; type == "object" and has("role") and has("content"))) and claudes
# closed: file
# Neither the conversation nor its messages have ids or times of their own: they are taken from what the application wrapped around them
# (id, created_at, closed_at, user_id). The results of tools are messages of the role user: they are dropped, as are system prompts, thinking and
# tool calls. If a record is a call, its request holds the whole conversation: export the last call of each.
# the application says that it still goes on: an end that is null, or a status
def ongoing: if type != "object" then false else [.closed_at, .ended_at, .closedAt, .endedAt | values] == []
  and (has("closed_at") or has("ended_at") or has("closedAt") or has("endedAt") or ((.status // .state) | IN("open", "active", "ongoing", "in_progress", "pending", "waiting"))) end;
def turns: (.messages // (if (.request | type) == "object" then .request.messages else null end)) as $m
  | if ($m | type) == "array" then $m + (if (.response | type) == "object" and .response.role != null then [.response] else [] end) else null end;
def call: if (.request | type) == "object" then .request else {} end;
def claudes: (.system // call.system) != null or ((.model // call.model // "") | tostring | startswith("claude")) or any(turns[]; .stop_reason != null or (.content | type == "array" and any(.[]; type == "object"
    and ((.type | IN("tool_use", "tool_result", "thinking", "redacted_thinking", "server_tool_use", "mid_conv_system", "document")) or (.type == "image" and .source != null)))));
def blocks: .content | if type == "string" then [{type: "text", text: .}] elif type == "array" then map(if type == "string" then {type: "text", text: .} else . end) else [] end;
# an answer's text may be cut into several blocks by citations
def words($role): [blocks[] | objects | select(.type == "text") | .text | strings] | if $role == "assistant" then add else lines end | said;
def attached: [blocks[] | objects | select(.type == "image" or .type == "document") | (.source | if type == "object" and .type == "url" then file(.url; null) else null end) | values];
def turn: .role as $role | [blocks[] | objects | .type | select(IN("text", "image", "document") | not)] as $others
  | if ($role | IN("user", "assistant")) | not then dropped($role // "message without role")
  else {id: (.id | known), text: words($role), attachments: attached, format: (if $role == "assistant" then "markdown" else null end)}
    | if .text == null and .attachments == [] and $others != [] then dropped($others[0]) else message(if $role == "user" then "user" else "bot" end; null), ($others[] | dropped(.)) end end;
def at($t): if has("_drop") then . else .created_at = $t | compact end;
if (turns | type) != "array" then foreign("it has no array of messages") else . end
| if any(turns[]; type != "object") then refuse("a message is not an object: correct the record") else . end
| {id: ((.conversation_id // .session_id // .thread_id // .id) | known),
   created_at: ((.created_at // .createdAt // .timestamp) | totime), closed_at: ((.closed_at // .ended_at // .closedAt // .endedAt) | totime), _open: ongoing,
   end_user: (((.metadata // call.metadata // {}) | identity) + identity),
   messages: [turns[] | ((.created_at // .timestamp // .createdAt) | totime) as $at | turn | at($at)]}
| compact
