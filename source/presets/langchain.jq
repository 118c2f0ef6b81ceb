# title: LangChain's message history in Postgres
# record: a row of the table: session_id, message, created_at
# export: rows of the table of the message history
# external_id: a column user_id and its like, joined in the query
# other_ids: columns email, phone, name
# marks: session_id message
# detect: body | type == "object" and (.type // .role) != null
# group_by: .session_id
# sort_by: [(.created_at | totime), .id]
# closed: idle 1h
# A session counts as closed if nobody wrote for an hour before the end of the data: write closed: file if the export holds nothing that still goes on.
# Rows say nothing of who the customer is: join that in the query, as columns user_id, email, phone, name. Tables of older versions have no
# created_at, and cannot be imported without one.
def body: .message | json;
# an answer may come in pieces
def words($role): .content | if type == "array" then [.[] | if type == "string" then . elif type == "object" and (.type == "text" or .type == null) then .text else null end | if type == "string" then . else empty end]
    | if $role == "bot" then add else lines end | said else said end;
def attached: [.content | arrays | .[] | objects | select(.type == "image_url") | file(.image_url | if type == "object" then .url else . end; null) | values];
def role: (.type // .role) | if IN("human", "HumanMessageChunk", "user") then "user" elif IN("ai", "AIMessageChunk", "assistant") then "bot" else null end;
.[0].session_id as $session
| {id: ($session | known), end_user: ([.[] | identity] | add | compact),
   messages: [.[] | (.created_at | totime) as $at | body | if type != "object" then refuse("the message of a row is not JSON: correct the row") else . end
     | role as $role | (.type // "message without type") as $kind | (if (.data | type) == "object" then .data else . end)
     | if $role == null then dropped($kind)
       elif words($role) == null and ((.tool_calls // .additional_kwargs.tool_calls? // []) | length > 0) then dropped("tool_calls")
       else {id: (.id | known), text: words($role), attachments: attached, format: (if $role == "bot" then "markdown" else null end)} | message($role; $at) end]}
