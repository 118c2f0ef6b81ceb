# title: Chatwoot conversations with their messages
# record: a conversation with its contact and the array of its messages, from the API or from SQL
# export: GET /conversations/{id} joined with all pages of its /messages, or SQL
# external_id: contact identifier; else chatwoot:<contact id> (*)
# other_ids: contact email, phone_number, name (meta.sender)
# lists: if has("inbox_id") and has("status") and (has("display_id") or has("can_reply") or has("contact_inbox")) and (has("messages") | not) then "it is a conversation without messages: join it with all pages of GET /conversations/{id}/messages" else null end
# marks: messages status
# detect: has("contact_identifier") or has("contact_inbox") or (has("last_activity_at") and (has("display_id") or has("inbox_id"))) or (.messages | json | if type == "object" then .payload else . end | type == "array" and any(type == "object" and has("message_type") and (has("content") or has("content_type"))))
# closed: marker
# From the API: put all messages of a conversation (all pages of /conversations/{id}/messages) into its field messages. The list of conversations
# has only the latest message of each. Such a record is refused. One with a single message that is not the customer's first may be such a record, and is
# refused, too: if that is all, add "complete": true to it.
# From SQL: one row a conversation with display_id, status, created_at, contact_identifier, contact_email, contact_phone_number, contact_name,
# and messages: an array of objects with id, content, message_type, content_type, private, sender_type, content_attributes, created_at.
# Times without a zone are UTC, as in Chatwoot's database. Export one account at a time: display_id counts within an account.
# Resolved conversations are closed, at their last message. Open, pending and snoozed ones are open. A conversation that only a bot handled may
# stay pending for ever: with source.closed: idle 24h, such ones count as closed a day after their last message.
# Private notes, activities, surveys, deleted messages and messages that were not delivered are dropped. Agent bots, Captain, automations and
# Chatwoot's own texts, such as its greeting, are the bot. What a bot sends with the token of an agent counts as the agent's.
# What the customer chose or filled in stands within the message that asked. It is sent as an answer right after that.
def object: json | json | if type == "object" then . else {} end;
def list(name): json | if type == "object" then .[name] | json else . end | if type == "array" then . else null end;
def utc: if type == "string" and test("^\\s*\\d{4}-\\d\\d-\\d\\d[ T]\\d\\d:\\d\\d:\\d\\d(\\.\\d+)?\\s*$") then gsub("^\\s+|\\s+$"; "") + "Z" else . end | totime;
def seconds: utc | if type == "string" then (try (.[0:19] + "Z" | fromdate) catch null) else null end;
def number: if type == "string" then tonumber? // null elif type == "number" then . else null end;
def ordered(at): (if length > 1 and (first | at) != null and (last | at) != null and (first | at) > (last | at) then reverse else . end)
  | [foreach .[] as $m (null; ($m | at) // .; {at: ., $m})] | if all(.m.id | number != null) then sort_by([.at, (.m.id | number)]) else sort_by(.at) end | map(.m);
def kind: {"0": "incoming", "1": "outgoing", "2": "activity", "3": "template"} as $names | .message_type | if type == "number" or type == "string" then tostring | ascii_downcase | $names[.] // . else null end;
def form: ["text", "input_text", "input_textarea", "input_email", "input_select", "cards", "form", "article", "incoming_email", "input_csat", "integrations", "sticker", "voice_call"] as $names
  | .content_type | if . == null or . == "" then "text" elif number != null then $names[number] // "unknown" elif type == "string" then ascii_downcase else "unknown" end;
def details: .content_attributes | object;
def sender: (.sender | json | if type == "object" then . else null end) as $s
  | ((.sender_type | known) // ($s.type | known) // (if $s != null and ($s | has("email") or has("available_name")) then "user" else "" end)) | ascii_downcase;
def who: kind as $kind | sender as $sender
  | if $kind == "incoming" then "user"
    elif $kind == "template" then "bot"
    elif $kind != "outgoing" then null
    elif $sender | IN("user", "agent") then "agent"
    elif $sender | IN("agentbot", "agent_bot", "captain::assistant", "captain_assistant") then "bot"
    elif $sender == "" then (if details.external_echo == true then "agent" else "bot" end)
    else null end;
def items: details.items | list("items") // [];
def questions: form as $form
  | if $form | IN("cards", "article") then [items[] | objects | (.title, .description, .link | said), ((.actions | list("actions") // []) | map(objects | .text // .title) | options)] | lines
    elif $form == "form" then [items[] | objects | {title: (.label // .placeholder // .name)}] | options
    else items | options end;
# an e-mail without a plain text has its text among the details
def content: (.content | said) // (details.email | object | (.text_content | object | .reply // .full | said) // (.html_content | object | .reply // .full | strings | html2text | said));
def places: [.attachments | list("attachments") // [] | .[] | objects | if .file_type | IN("location", 4, "4") then (.fallback_title | said), (if .coordinates_lat != null and .coordinates_long != null then "\(.coordinates_lat), \(.coordinates_long)" else empty end)
  elif .file_type | IN("contact", 8, "8") then (.fallback_title | said) else empty end] | lines;
def enclosed: [(.attachments | list("attachments") // [] | .[] | objects | {url: (.data_url // .external_url // .file_url), name: (.file_name // (if .file_type | IN("fallback", 5, "5") then .fallback_title else null end))}), (if form == "cards" then items[] | objects | select(.media_url != null) | {url: .media_url} else empty end)];
def answer: details as $d | ([items[] | objects | select((.name | type) == "string") | {(.name): {label: (.label | said), options: ([.options | list("options") // [] | .[] | objects | select(.value != null and .label != null) | {(.value | tostring): .label}] | add // {})}}] | add // {}) as $asked
  | def value($options): if type == "array" then map(value($options)) | lines | values | gsub("\n"; ", ") elif type == "object" then .title // .label // .value | value($options) elif . == null then null else tostring | $options[.] // . end;
    [($d.submitted_values | list("submitted_values") // [] | .[]
       | if type == "object" then (.title | said) // ((.name | if type == "string" then $asked[.] else null end) as $about | [$about.label, (.value | value($about.options // {}) | said)] | map(values) | join(": ")) else . end),
     $d.submitted_email] | lines;
def sent: who as $role | (.created_at | utc) as $at | kind as $kind | form as $form
  | ([content, (if $role == "user" then null else questions end), places] | lines) as $words
  | [enclosed[] | file(.url; .name) | values] as $files
  | if $words == null and $files == [] then dropped(if enclosed != [] then "attachment without a web address" else $role + " without text" end)
    else {id: (.id | known), text: $words, attachments: $files, format: (if $role == "user" then null else "markdown" end)} | message($role; $at) end,
    (if $role == "user" then empty else answer | values | {text: .} | message("user"; $at) end);
def one: kind as $kind | form as $form
  | if .private | IN(null, false, 0, "0", "false", "f") | not then dropped("private note")
    elif $kind | IN("incoming", "outgoing", "template") | not then dropped(if $kind == "activity" then $kind else "message of an unknown type" end)
    elif details.deleted | IN(true, "true") then dropped("deleted message")
    elif $form == "input_csat" then dropped("survey")
    elif $form | IN("text", "input_text", "input_textarea", "input_email", "input_select", "cards", "form", "article", "incoming_email", "sticker") | not then dropped(if $form | IN("integrations", "voice_call") then $form else "message of an unknown content type" end)
    elif $kind != "incoming" and (.status | IN("failed", 3, "3")) then dropped("message that was not delivered")
    elif who == null then dropped("message of an unknown sender")
    else sent end;
if type != "object" or (has("messages") and has("status") | not) then foreign("it has no messages and status") else . end
| . as $c
| (if .messages == null then [] else .messages | list("payload") end) as $list
| if $list == null then refuse("its messages are no array: join the conversation with all its messages") else . end
| ([$list[] | json | if type == "object" then . else refuse("one of its messages is not an object: correct the record") end] | ordered(.created_at | utc)) as $all
| if any($all[]; (kind | IN("outgoing", "template")) and (has("private") | not)) then refuse("its messages do not say whether they are private notes: export their column private") else . end
| ($c.status | if type == "number" or type == "string" then tostring | ascii_downcase else "" end) as $status
| if $status | IN("0", "1", "2", "3", "open", "resolved", "pending", "snoozed") then . else refuse("its status is none of open, resolved, pending and snoozed: correct the record") end
| ($c.last_non_activity_message | object) as $latest
| (($all | first | .created_at | seconds) as $first | ($c.created_at | seconds) as $began | $first != null and $began != null and $first - $began > 5) as $late
# a conversation as the API has it, to which all messages have to be joined
| ($latest.id != null or has("can_reply") or has("unread_count") or has("agent_last_seen_at") or has("contact_last_seen_at") or has("timestamp") or (.meta | object | has("sender"))) as $api
| if .complete == true then . elif $latest.id != null and (any($all[]; .id == $latest.id) | not) or $api and (($all | length) == 1 and ($late or ($all[0] | kind) != "incoming") or ($all | length) == 20 and $late)
    then refuse("messages are missing, as lists have only the latest: put all pages of GET /conversations/{id}/messages into the field messages, or complete: true if it has no more") else . end
| [$all[] | one] as $messages
| (($c.contact | object) | if . == {} then $c.meta | object | .sender // .contact | object else . end) as $contact
| ([$messages[] | .created_at | values] | max) as $last
| {id: (($c.display_id // $c.id) | known), created_at: ($c.created_at | utc),
   closed_at: (if $status | IN("1", "resolved") then $last // ($c.created_at | utc) // (if $messages == [] then ($c.last_activity_at | utc) else null end) // refuse("it is resolved, but neither it nor its messages have a time: export created_at") else null end),
   end_user: ({external_id: (($contact.identifier // $c.contact_identifier) | person), email: (($contact.email // $c.contact_email // $c.email) | email),
     phone: (($contact.phone_number // $c.contact_phone_number // $c.phone_number) | phone),
     name: (($contact.name // $c.contact_name // $c.name) | person | if . != null and test("^[a-z]+-[a-z]+-[0-9]{1,3}$") then null else . end)} | compact
     | given_id("chatwoot:"; ($contact.id // $c.contact_id // ($c.contact_inbox | object | .contact_id)) | person)),
   attributes: ({rating: ([$all[] | select(form == "input_csat") | details.submitted_values | object | .csat_survey_response | object | .rating | numbers] | last),
     channel: (($c.meta | object | .channel | known) // ($c.channel | known) | if . == null then null else ltrimstr("Channel::") end),
     labels: (($c.labels // $c.cached_label_list) | if type == "string" then (json | if type == "array" then . else null end) // split(",") else . end | if type == "array" then map(known | values) else [] end | if . == [] then null else . end)} | compact),
   messages: $messages}
| compact
