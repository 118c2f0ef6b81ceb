# title: OpenAI chat completions, as an application stored them
# record: an object with messages, or the array of the messages alone
# marks: messages
# arrays: one record
# closed: file
# Neither the conversation nor its messages have ids or times of their own: they are taken from what the application wrapped around them
# (id, created_at, closed_at, user). Without an id a record is rejected. Of the messages only those of user and assistant are sent.
def wrapped: if type == "array" then {messages: .} else . end;
def text: if type == "array" then [.[] | if type == "string" then . else
    (if .type == "text" or .type == "input_text" or .type == "output_text" then (.text | if type == "object" then .value else . end) elif .type == "refusal" then .refusal else null end) end] | lines
  else said end;
def files: if type == "array" then [.[] | objects | select(.type == "image_url" or .type == "input_image") | file(.image_url | if type == "object" then .url else . end; null) | values] else [] end;
def message: (.role | if type == "string" then ascii_downcase else . end) as $role
  | if $role == "user" or $role == "assistant" then
      {id: (.id | known), role: $role, created_at: ((.created_at // .timestamp // .createdAt) | totime), attachments: (.content | files),
       text: ((.content | text) // (.refusal | said)), format: (if $role == "assistant" then "markdown" else "text" end)}
      | if .text == null and .attachments == [] then dropped("message without text") else compact end
    else dropped($role // "message without role") end;
wrapped
| if (.messages | type) != "array" then error("not_a_transcript: it has no array of messages") else . end
| {id: ((.id // .conversation_id // .session_id // .thread_id) | known),
   created_at: ((.created_at // .created // .createdAt) | totime),
   closed_at: ((.closed_at // .ended_at) | totime),
   end_user: ({external_id: ((.user // .user_id // .metadata.user_id?) | known), email: ((.email // .metadata.email?) | known)} | compact),
   messages: [.messages[] | message]}
| compact
