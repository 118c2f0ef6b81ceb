# title: Rasa, the table events of the tracker store
# record: a row of events, with data as text or as an object
# marks: sender_id type_name timestamp
# group_by: .sender_id
# sort_by: .timestamp
# session_gap: 60m
# One sender has one tracker for ever: it is cut where it paused for an hour, which is how long a session lasts in Rasa by default.
# Names and addresses are taken from the slots name, email and phone (or phone_number).
def slot(names): [.[] | select(.event == "slot" and (.name | IN(names))) | .value | known | values] | last;
def message:
  if .event == "user" then {role: "user", text: ((.text | said) // null), created_at: (.timestamp | totime), id: (.message_id | known)}
  elif .event == "bot" then (.data // {}) as $data
    | {role: "bot", text: ([(.text | said), ($data.buttons? // [] | .[]? | .title | said | values | "- " + .)] | lines), created_at: (.timestamp | totime),
       attachments: [([$data.image?, $data.attachment?] | unique | .[] | strings | file(.; null) | values)]}
  else dropped(.event // "unknown event") end
  | if has("_drop") then . elif .text == null and ((.attachments // []) == []) then dropped(.role + " without text") else compact end;
.[0].sender_id as $sender
| [.[] | (.data | json) as $data | ($data // {}) + {event: (.type_name // $data.event), timestamp: .timestamp}]
| {id: ($sender | known), end_user: ({external_id: ($sender | known), name: slot("name", "full_name"), email: slot("email"), phone: slot("phone", "phone_number")} | compact),
   messages: [.[] | message]}
