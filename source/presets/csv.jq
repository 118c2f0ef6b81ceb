# title: tables of values: a row a message, or conversations and messages in two files
# record: a row of a CSV or TSV file
# export: a table with a row a message, or two: conversations and messages
# external_id: external_id, customer_id, user_id and their like; else csv:<visitor_id, contact_id or chatter_id> (*)
# other_ids: email, phone, name and their like
# files: tables
# detect: conversation != null and ((words != null and any(senders; true)) or (status != null and (ended != null or begun != null)))
# group_by: conversation
# sort_by: moment
# closed: idle 1h
# Columns are known by many names, such as conversation_id or session_id, role, sender or direction, text, message or body, and timestamp, sent_at or date.
# Give yours these names under source.csv.columns where they are called otherwise: id (of the conversation), role, text, created_at, closed_at, status,
# external_id, email, phone, name, private, format, agent_id. Other columns of the conversation are not used.
# Who wrote a message is told by words such as user, customer, visitor, bot, assistant, agent, inbound. Messages of others are dropped and counted.
# A conversation counts as closed if its status or its closed_at says so, or if nobody wrote for an hour before the end of the data. Write
# closed: file if the export holds nothing that still goes on. Times without a zone need source.time_zone.
def column($name; value): if $columns | index($name) then .[$name] else value end;
def conversation: column("id"; field("conversation_source_id"; "conversation_id"; "conversation_uuid"; "session_id"; "session_uuid"; "chat_id"; "thread_id"; "dialog_id"; "dialogue_id"; "interaction_id"; "transcript_id"; "ticket_id"; "source_id"; "id")) | known;
def moment: column("created_at"; field("created_at"; "timestamp"; "sent_at"; "send_time"; "sent_time"; "date_sent"; "message_time"; "message_timestamp"; "message_created_at"; "datetime"; "date_time"; "time"; "date"; "created"; "sent"; "at")) | totime;
def word: known | if . == null then null else ascii_downcase | gsub("[^a-z0-9]+"; "_") end;
def roleof: word as $w
  | if $w | IN("user", "customer", "visitor", "client", "end_user", "enduser", "human", "guest", "contact", "consumer", "caller", "shopper", "patient", "member", "lead", "chatter", "inbound", "incoming", "received") then "user"
    elif $w | IN("bot", "assistant", "ai", "chatbot", "chat_bot", "virtual_agent", "virtual_assistant", "voicebot", "automated", "automation", "ai_agent", "automated_agent", "bot_message", "outbound_bot", "model") then "bot"
    elif $w | IN("agent", "operator", "human_agent", "live_agent", "support", "support_agent", "admin", "staff", "employee", "representative", "rep", "teammate", "advisor", "consultant", "outbound", "outgoing", "outbound_reply") then "agent"
    elif $w | IN("outbound_api") then "bot" else null end;
def senders: if $columns | index("role") then .role else field("role"), field("sender_type"), field("author_type"), field("participant_type"), field("actor_type"), field("speaker_type"), field("message_role"),
  field("from_type"), field("user_type"), field("sender_role"), field("author_role"), field("speaker"), field("sender"), field("author"), field("actor"), field("participant"), field("direction"), field("message_direction"),
  field("from"), field("type") end | values;
def words: column("text"; field("text"; "body"; "message"; "content"; "message_text"; "message_body"; "message_content"; "utterance"; "msg")) | known as $known | if $known == null then null else said end;
def spoken: (words != null) or any(senders; true) or (column("role"; null) != null);
def yes: word | . != null and (IN("false", "no", "0", "f", "n", "public", "external", "visible", "everyone", "off") | not);
def private: column("private"; field("private"; "is_private"; "internal"; "is_internal"; "internal_note"; "is_note"; "is_internal_note"; "visibility"; "message_visibility")) | yes;
# kinds of messages that the customer saw; other kinds are dropped
def kind: column("kind"; field("message_type"; "event_type"; "kind") // (field("type") | if roleof then null else . end)) | word
  | if . == null or IN("text", "message", "msg", "chat", "chat_message", "comment", "reply", "public", "public_reply", "normal", "plain", "plain_text", "text_plain", "html", "markdown", "answer", "question", "greeting", "button", "buttons",
    "quick_reply", "quick_replies", "image", "picture", "file", "attachment", "audio", "video", "card", "carousel", "list", "choice", "link", "url", "template", "form", "location", "sms", "whatsapp", "utterance", "user", "bot") then null else . end;
def pictures: [field("attachment_url"), field("attachment_urls"), field("attachments"), field("attachment"), field("file_url"), field("media_url"), field("image_url") | strings | file(.; null) | values] | unique;
def message: [senders | roleof | values][0] as $role
  | if private then dropped("private note") elif kind then dropped(kind) elif $role == null then dropped("message of an unknown sender")
    else {id: (field("message_id"; "message_source_id"; "msg_id") | known), text: words, attachments: pictures,
        format: (column("format"; null) | word | if IN("text", "html", "markdown") then . else null end),
        agent_id: (if $role == "agent" then column("agent_id"; null) | known else null end)} | message($role; null) end;
def timed(row): if has("_drop") then . else .created_at = (row | moment) | compact end;
def firstof(f): [.[] | f | values][0];
def begun: field("created_at"; "started_at"; "start_time"; "conversation_started_at"; "opened_at") | known | totime;
def status: column("status"; field("conversation_status"; "chat_status"; "session_status"; "status"; "state"; "is_closed"; "closed"; "is_resolved"; "resolved")) | word
  | if IN("closed", "resolved", "solved", "ended", "done", "completed", "complete", "finished", "archived", "true", "yes", "1") then "closed"
    elif IN("open", "active", "pending", "new", "ongoing", "in_progress", "assigned", "waiting", "reopened", "unresolved", "snoozed", "on_hold", "hold", "false", "no", "0") then "open" else null end;
def ended: column("closed_at"; field("closed_at"; "ended_at"; "end_time"; "resolved_at"; "conversation_closed_at"; "conversation_ended_at"; "session_end"; "chat_ended_at")) | known | totime;
. as $rows
| [.[] | select(spoken | not)] as $conversations
| [.[] | select(spoken)] as $said
| [$said[] | select([senders | roleof | values][0] == "user")] as $customer
| ($conversations + $customer) as $about
| ($tables | any(.[]; . as $names | [{key: $names[], value: "x"}] | from_entries | spoken | not)) as $pair
| if $pair and $conversations == [] then refuse("no file has the conversation of these messages: add the file, or correct the column that links them") else . end
| if $said != [] and all($said[]; [senders | roleof | values][0] == null) then
    refuse("no row of the conversation says who wrote it in a word that is known, such as user, customer, bot, assistant or agent: name the column under source.csv.columns as role, or translate its words in a transform") else . end
| ($conversations + ($said | reverse) | firstof(status)) as $status
| ($conversations + $said | firstof(ended)) as $ended
| {id: ($rows[0] | conversation),
   created_at: ($conversations | firstof(begun)),
   closed_at: (if $status != "open" then $ended else null end),
   _open: ($status == "open"), _closed: ($status == "closed"),
   end_user: ($about | {external_id: firstof(column("external_id"; field("external_id"; "end_user_external_id"; "customer_external_id"; "customer_id"; "end_user_id"; "client_id"; "user_id")) | person),
     email: firstof(column("email"; field("email"; "end_user_email"; "customer_email"; "user_email"; "visitor_email"; "contact_email"; "email_address")) | email),
     phone: firstof(column("phone"; field("phone"; "phone_number"; "end_user_phone"; "customer_phone"; "user_phone"; "mobile"; "msisdn"; "contact_phone"; "from")) | phone),
     name: firstof(column("name"; field("name"; "end_user_name"; "customer_name"; "user_name"; "visitor_name"; "contact_name"; "full_name"; "sender_name"; "display_name")) | person)} | compact
     | given_id("csv:"; $about | firstof(field("visitor_id"; "contact_id"; "chatter_id") | person))),
   messages: [$said[] | . as $row | message | timed($row)]}
| compact
