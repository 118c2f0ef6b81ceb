# title: OpenAI chat completions, as an application stored them
# record: an object with messages, or the array of the messages alone
# export: the messages of each chat in one object, as your application stored them
# external_id: user_id, user and their like, in the record or its metadata
# other_ids: email, phone, name and their like, there
# lists: if .object == "chat.completion" and (has("messages") | not) then "it is an answer alone, without the messages of the customer: export the messages of each chat as your application keeps them" else null end
# marks: messages
# detect: wrapped | (.messages | type == "array" and length > 0 and all(.[]; type == "object" and (has("role") and (has("content") or has("tool_calls"))))) and (claudes | not)
# arrays: one record
# closed: file
# Neither the conversation nor its messages have ids or times of their own: they are taken from what the application wrapped around them
# (id, created_at, closed_at, user). A record without an id is rejected, and so is one without any time: add them, or write a transform.
# Only the messages of user and assistant are sent.
# the application says that it still goes on: an end that is null, or a status
def ongoing: if type != "object" then false else [.closed_at, .ended_at, .closedAt, .endedAt | values] == []
  and (has("closed_at") or has("ended_at") or has("closedAt") or has("endedAt") or ((.status // .state) | IN("open", "active", "ongoing", "in_progress", "pending", "waiting"))) end;
def wrapped: if type == "array" then {messages: (if length == 1 and (.[0] | type) == "array" then .[0] else . end)} else . end;
def claudes: (.system != null) or any(.messages[]; .stop_reason != null or (.content | type == "array" and any(.[]; type == "object" and (.type | IN("tool_use", "tool_result", "thinking", "redacted_thinking", "server_tool_use")))));
def words: if type == "array" then [.[] | if type == "string" then . elif type != "object" then null
    elif .type == "text" or .type == "input_text" or .type == "output_text" then (.text | if type == "object" then .value else . end) elif .type == "refusal" then .refusal else null end] | lines
  else said end;
def pictures: if type == "array" then [.[] | objects | select(.type == "image_url" or .type == "input_image") | file(.image_url | if type == "object" then .url else . end; null) | values] else [] end;
def calls: (.tool_calls | type) == "array" and (.tool_calls | length) > 0;
def said_by: (.role | if type == "string" then ascii_downcase else "message without role" end) as $role
  | if $role == "user" or $role == "assistant" then
      if calls and (.content | words) == null then dropped("tool_calls")
      else {id: (.id | known), attachments: (.content | pictures), text: ((.content | words) // (.refusal | said)), format: (if $role == "assistant" then "markdown" else null end)}
        | message(if $role == "user" then "user" else "bot" end; null) end
    else dropped($role) end;
def at(t): if has("_drop") then . else .created_at = t | compact end;
if type != "array" and (.messages | type) != "array" then foreign("it has no array of messages") else wrapped end
| if any(.messages[]; type != "object") then refuse("a message is not an object: correct the record") else . end
| {id: ((.id // .conversation_id // .session_id // .thread_id // .chat_id) | known),
   created_at: ((.created_at // .created // .createdAt // .timestamp) | totime),
   closed_at: ((.closed_at // .ended_at // .closedAt // .endedAt) | totime), _open: ongoing,
   end_user: ((.metadata | identity) + (.user | account) + identity),
   messages: [.messages[] | ((.created_at // .timestamp // .createdAt) | totime) as $at | said_by | at($at)]}
| compact
