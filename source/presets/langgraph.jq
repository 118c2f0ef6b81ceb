# title: LangGraph, the state of threads
# record: a thread, or its state, with values.messages
# export: GET /threads/{id} or /threads/{id}/state of the LangGraph server, with values
# external_id: user_id and its like in metadata, values or values.user
# other_ids: email, phone, name there
# lists: if has("thread_id") and has("status") and (.values | type) != "object" then "it is a thread without values: get each with GET /threads/{id}, or search with select: values" else null end
# marks: values
# detect: .values.messages? | type == "array" and all(.[]; type == "object" and (.type | IN("human", "ai", "system", "tool", "remove", "AIMessageChunk", "HumanMessageChunk", "function", "chat")))
# closed: idle 1h
# Export threads with their values from the LangGraph server: the tables of its checkpointer hold messages in binary form. Messages have no times:
# they are put between created_at and updated_at of the thread. A thread counts as closed if nothing happened in it for an hour before the end of the data;
# one that is busy or interrupted is open.
# an answer may come in pieces
def words($role): .content | if type == "array" then [.[] | if type == "string" then . elif type == "object" and (.type == "text" or .type == null) then .text else null end | if type == "string" then . else empty end]
    | if $role == "bot" then add else lines end | said else said end;
def attached: [.content | arrays | .[] | objects | select(.type == "image_url") | file(.image_url | if type == "object" then .url else . end; null) | values];
def role: .type | if IN("human", "HumanMessageChunk") then "user" elif IN("ai", "AIMessageChunk") then "bot" else null end;
if (.values.messages? | type) != "array" then foreign("it has no values.messages") else . end
| ((.updated_at // .created_at) | totime) as $end
| {id: ((.thread_id // .checkpoint.thread_id? // .config.configurable.thread_id? // .metadata.thread_id?) | known),
   created_at: (if .updated_at then .created_at | totime else null end),
   _open: ((.status | IN("busy", "interrupted")) or ((.next | type) == "array" and (.next | length) > 0)),
   end_user: ((.metadata | identity) + (.values.user | identity) + (.values | identity)),
   messages: ([.values.messages[] | if type != "object" then refuse("a message is not an object: correct the record") else . end | role as $role
     | if $role == null then dropped(.type // "message without type")
       elif words($role) == null and ((.tool_calls // []) | length > 0) then dropped("tool_calls")
       else {id: (.id | known), text: words($role), attachments: attached, format: (if $role == "bot" then "markdown" else null end)} | message($role; ((.additional_kwargs.created_at? // null) | totime)) end]
     | ([to_entries[] | select(.value | has("_drop") | not) | .key] | last) as $last
     | if $last == null or .[$last].created_at != null then . else .[$last].created_at = $end end)}
| compact
