# title: Rasa, the table events of the tracker store
# record: a row of events, with data as text or as an object
# export: rows of the table events of the tracker store
# external_id: sender_id (*)
# other_ids: slots email, phone, name; sender_id of a phone channel
# lists: if has("sender_id") and (.events | type) == "array" then "it is a tracker, and not rows of events: read the table events, or make rows with jq: .sender_id as $s | .events[] | {sender_id: $s, type_name: .event, timestamp, data: .}" else null end
# marks: sender_id type_name timestamp
# group_by: .sender_id
# sort_by: .timestamp
# session_gap: 60m
# begins: .type_name == "action" and (.action_name // (.data | json | .name?)) == "action_session_start"
# One sender has one tracker for ever. It is cut where Rasa began a session, and where it paused for an hour, which is how long a session
# lasts in Rasa by default: set source.session_gap to your session_expiration_time.
# Names and addresses are taken from the slots name (or full_name), email, phone (or phone_number), and user_id or customer_id. A sender_id that is the number of a
# phone channel is the phone number.
def slot($slots; names): [$slots[] | select(.name | IN(names)) | .value | known | values] | last;
def extras: .data | if type == "object" then compact else {} end;
def buttons($d): [$d | (.buttons, .quick_replies | arrays | .[] | objects), (.elements | arrays | .[] | objects | .buttons | arrays | .[] | objects)];
def words($d): if $d == {} then .text | said else [(.text | said), ($d.custom | if type == "object" then .text | said else null end), ($d | .elements | arrays | .[] | objects | .title, .subtitle | said), (buttons($d) | options)] | lines end;
def pictures($d): if $d == {} then [] else [[$d | .image, .attachment, (.elements | arrays | .[] | objects | .image_url)] | unique | .[] | strings | file(.; null) | values] end;
# a button that was clicked arrives as its payload, such as /affirm: the customer saw its title
def clicked($titles): .text as $text | if ($text | type) == "string" and ($text | startswith("/")) then $titles[$text] // $text else $text end;
def event($titles): if has("_drop") then . else .at as $at | .data
  | if $titles == null then {text: (.text | said), id: (.message_id | known)} | message("user"; $at)
    elif $titles == "bot" then extras as $d | {text: words($d), attachments: pictures($d)} | message("bot"; $at)
    else {text: (clicked($titles) | said), id: (.message_id | known)} | message("user"; $at) end end;
.[0].sender_id as $sender
| [.[] | (.type_name // (.data | json | if type == "object" then .event else null end)) as $type
    | if $type == "user" or $type == "bot" or $type == "slot" then
        (.data | json) as $data
        | if ($data | type) == "object" then {type: $type, at: (.timestamp | totime), data: $data}
          elif $type == "slot" then {_drop: $type}
          else refuse("the data of an event of type user or bot is not JSON, so its text cannot be read: correct the row") end
      else dropped($type // "unknown event") end]
| . as $events | [.[] | select(.type == "slot") | .data] as $slots
| {id: ($sender | known),
   end_user: ((if $slots == [] then {} else {external_id: (slot($slots; "user_id", "customer_id", "external_id") | person), name: slot($slots; "name", "full_name"), email: (slot($slots; "email") | email), phone: (slot($slots; "phone", "phone_number") | phone)} end
     | .phone //= ($sender | if type == "string" and test("^(\\+|whatsapp:|sms:|tel:)") then phone else null end)) | compact | given_id(""; $sender | person)),
   messages: [foreach $events[] as $e ({};
     if $e.type == "bot" and $e.data.data != null then . + ([$e.data | extras | if . == {} then empty else buttons(.)[] end | select(.payload | type == "string") | {(.payload): .title}] | add // {}) else . end;
     . as $titles | $e | if .type == "user" then event(if $titles == {} then null else $titles end) elif .type == "bot" then event("bot") elif .type == "slot" then {_drop: "slot"} else . end)]}
