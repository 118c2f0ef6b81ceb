# title: Chatwoot conversations with their messages
# record: a conversation with its messages, from the API, or from SQL: see `formats show chatwoot --sql`
# marks: messages status
# detect: (.messages | type == "array") and (if .messages == [] then has("last_activity_at") or has("contact_identifier") else any(.messages[]; type == "object" and has("message_type")) end)
# closed: marker
# Resolved conversations are closed, at their last message; open, pending and snoozed ones are open. Private notes, activities and templates are dropped. Agent bots and
# automation are the bot. Times without a zone are UTC, as Chatwoot's database has them.
def utc: if type == "string" and test("^\\d{4}-\\d\\d-\\d\\d[ T]\\d\\d:\\d\\d:\\d\\d(\\.\\d+)?$") then . + "Z" else . end | totime;
def content: .content_attributes | json | if type == "object" then . else {} end;
def kind: .message_type | if . == 0 or . == "0" or . == "incoming" then "incoming" elif . == 1 or . == "1" or . == "outgoing" then "outgoing" elif . == 2 or . == "2" or . == "activity" then "activity" elif . == 3 or . == "3" or . == "template" then "template" else null end;
def files: [(.attachments | if type == "array" then .[] else empty end) | if type == "object" then file(.data_url; (.fallback_title // .file_name)) else null end | values];
def is_private: (.private | . != null and . != false and . != "false" and . != "f" and . != 0);
def sender: ((.sender_type // (.sender | if type == "object" then .type else null end)) | if type == "string" then ascii_downcase else null end);
def who: kind as $kind | sender as $sender | if $kind == "incoming" then "user" elif $kind != "outgoing" then null
  elif $sender == null or ($sender | IN("agentbot", "agent_bot", "captain::assistant", "captain_assistant", "bot")) then "bot" elif $sender | IN("user", "agent") then "agent" else null end;
def choices: [content | (.items | if type == "array" then .[] else empty end)] | options;
def cards: [content | (.items | if type == "array" then .[] else empty end) | if type == "object" and has("description") then (.title, .description | said), ((.actions | if type == "array" then . else [] end) | map(.text // .title) | options) else empty end] | lines;
def words: [(.content | said), (if who == "user" then null elif (.content_type == "cards" or .content_type == 5) then cards else choices end)] | lines;
# what the customer chose or filled in comes back in the message that asked
def answer: content | [(.submitted_values | if type == "array" then .[] else empty end) | if type == "object" then (.title // .value) else . end | said | values] + [.submitted_email | said | values] | lines;
def one: who as $who | (.created_at | utc) as $at | ((.updated_at | utc) // $at) as $later
  | if is_private then dropped("private note") elif kind == null then dropped("message of an unknown type") elif kind == "activity" or kind == "template" then dropped(kind) elif $who == null then dropped("message of an unknown sender")
    else ({id: (.id | known), text: words, attachments: files} | message($who; $at)), (answer as $answer | if $who == "user" or $answer == null then empty else {text: $answer} | message("user"; $later) end) end;
(.meta | if type == "object" then .sender else null end) as $sender | ((if (.contact | type) == "object" then .contact else null end) // $sender // {}) as $contact
| if (.messages | type) != "array" then foreign("it has no messages") else . end
| (.status | if . == 1 or . == "1" or . == "resolved" then "closed" elif IN(0, 2, 3, "0", "2", "3", "open", "pending", "snoozed") then "open" else null end) as $state
| if $state == null then refuse("its status is none of open, resolved, pending and snoozed: correct the record") else . end
| {id: ((.display_id // .id) | known), created_at: (.created_at | utc), _closed: ($state == "closed"), _open: ($state == "open"),
   end_user: ({external_id: (($contact.identifier // .contact_identifier // .identifier) | person), email: (($contact.email // .contact_email // .email) | email),
     phone: (($contact.phone_number // .contact_phone_number // .phone_number) | phone), name: (($contact.name // .contact_name // .name) | person)} | compact),
   attributes: ({labels: ((.labels // null) | if type == "array" and . != [] then map(known | values) else null end)} | compact),
   messages: [.messages | sort_by([(.created_at | utc), (.id | if type == "number" then . else 0 end)]) | .[] | one]}
| compact
