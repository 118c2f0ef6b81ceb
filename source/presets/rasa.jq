# title: Rasa, the table events of the tracker store
# record: a row of events, with data as text or as an object
# marks: sender_id type_name timestamp
# group_by: .sender_id
# sort_by: .timestamp
# session_gap: 60m
# begins: .type_name == "action" and (.action_name // (.data | json | .name?)) == "action_session_start"
# One sender has one tracker for ever. It is cut where Rasa began a session, and where it paused for an hour, which is how long a session
# lasts in Rasa by default: set source.session_gap to your session_expiration_time.
# Names and addresses are taken from the slots name (or full_name), email and phone (or phone_number).
def slot(names): [.[] | select(.event == "slot" and (.name | IN(names))) | .value | known | values] | last;
def buttons: [(.data | objects | .buttons, .quick_replies | arrays | .[] | objects), (.data | objects | .elements | arrays | .[] | objects | .buttons | arrays | .[] | objects)];
def words: .data as $d | [(.text | said), ($d | if type == "object" and (.custom | type) == "object" then .custom.text | said else null end), ($d | objects | .elements | arrays | .[] | objects | .title, .subtitle | said), (buttons | options)] | lines;
def pictures: [[.data | objects | .image, .attachment, (.elements | arrays | .[] | objects | .image_url)] | unique | .[] | strings | file(.; null) | values];
# a button that was clicked arrives as its payload, such as /affirm: the customer saw its title
def clicked($titles): .text as $text | if ($text | type) == "string" and ($text | startswith("/")) then $titles[$text] // $text else $text end;
.[0].sender_id as $sender
| [.[] | (.data | json) as $data
    | if ($data == null) and (.type_name | IN("user", "bot")) then refuse("the data of an event of type user or bot is not JSON, so its text cannot be read: correct the row") else . end
    | (if ($data | type) == "object" then $data else {} end) + {event: (.type_name // $data.event), timestamp: .timestamp}]
| . as $events
| {id: ($sender | known), end_user: ({external_id: ($sender | person), name: slot("name", "full_name"), email: (slot("email") | email), phone: (slot("phone", "phone_number") | phone)} | compact),
   messages: [foreach $events[] as $e ({};
      .titles = (.titles // {}) + (if $e.event == "bot" then [$e | buttons[] | select(.payload | type == "string") | {(.payload): .title}] | add // {} else {} end);
      .titles as $titles | $e
      | if .event == "user" then {text: (clicked($titles) | said), id: (.message_id | known)} | message("user"; $e.timestamp | totime)
        elif .event == "bot" then {text: words, attachments: pictures} | message("bot"; $e.timestamp | totime)
        else dropped(.event // "unknown event") end)]}
