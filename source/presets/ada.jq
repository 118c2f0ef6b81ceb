# title: Ada, messages and conversations of the data export API
# record: a row of the messages, or a row of the conversations; both may be mixed
# export: the data export API: /data_api/v1.4/messages and, for the same days, /data_api/v1.4/conversations
# external_id: a variable user_id, customer_id or external_id; else ada:<end_user_id or chatter_id> (*)
# other_ids: variables email, phone_number, name
# marks: _id date_created
# detect: (has("message_data") and has("conversation_id") and has("sender")) or (has("chatter_id") and (has("is_engaged") or has("is_escalated") or has("metavariables")))
# group_by: if has("message_data") or has("conversation_id") then .conversation_id else ._id end | known
# sort_by: .date_created | totime
# closed: idle 24h
# Export the messages and, for the same days, the conversations: only these say who the customer is (the variables user_id, email, phone_number and name, if your
# bot sets variables with such names, and end_user_id) and which chats are tests, which are left out. A conversation in which somebody wrote, and of which there
# are no messages, is refused.
# Without the conversations, the customer is what the bot stored in such variables while they chatted, else the chatter_id.
# Ada says nowhere that a conversation has ended, and changes date_updated later: one is closed, at its last message, if nobody wrote for 24 hours before the end of
# the data. Write closed: file if the export holds nothing that still goes on.
# Texts, pictures, buttons and lists, and what the customer chose of them are sent. Messages of all other types (greeting, meta, presence, ...) are counted, and not sent,
# nor are those of which it is not clear who wrote them.
def is_message: has("message_data") or has("conversation_id");
def literal: known | if . == null then null else ascii_downcase end;
def of_bot: IN("ada", "bot", "ai_agent", "ai agent");
def of_agent: IN("agent", "human", "human_agent", "human agent");
def entries_of(names): if type == "array" then [.[] | if type == "object" and ([names | said | values] == []) then {title: (.body // .message)} else . end] | options else null end;
def data: .message_data | json | if type == "object" then . else null end;
# the customer is known by several ids: all that wrote to, or were written to by, the bot or an agent
def customers: [.[] | .chatter_id, (if .recipient | literal | of_bot or of_agent then .sender else null end), (if .sender | literal | of_bot or of_agent then .recipient else null end) | literal | values
  | select((of_bot or of_agent or IN("system", "admin", "automation", "workflow", "integration", "api", "webhook", "note")) | not)] | map({(.): true}) | add // {};
# a sender that is neither is the customer's id, which need not be the chatter_id; a word that is no id is somebody of whom nothing is known
def role_of($customers; $type): (.sender | literal) as $sender
  | if $sender == null then null elif $sender | of_bot then "bot" elif $sender | of_agent then "agent"
    elif $customers[$sender] or ($sender | test("[0-9]")) or ($type | IN("trigger", "list_selection")) then "user" else null end;
def text_of: ._type as $type
  | if $type | IN("text", "trigger", "list_selection") then .body | said
    elif $type == "quick_replies" then .quick_replies | entries_of(.label, .title, .text, .name, .value)
    else [(.prompt | said), (.selectables | json | entries_of(.title, .label, .text, .name, .value))] | lines end;
def message_of($customers): (.date_created | totime) as $at | ._id as $id | data as $data | ($data | if . == null then null else ._type end) as $type | role_of($customers; $type) as $role
  | if $data == null then dropped("message without data")
    elif ($type | type) != "string" then dropped("message without type")
    elif $type | IN("text", "trigger", "list_selection", "quick_replies", "surfaceable_list_selection", "picture") | not then dropped($type)
    elif $role == null then dropped("message of an unknown sender")
    elif $type == "picture" then {id: ($id | known), attachments: [$data | file(.pic_url; .alt_text) | values]} | if .attachments == [] then dropped("attachment without a web address") else message($role; $at) end
    else {id: ($id | known), text: ($data | text_of)} | message($role; $at) end;
# what the bot stored in a variable
def stored($rows): [$rows[] | data | values | select(._type == "meta" and .meta_message_type == "variable_change") | .meta_message_data | if type == "object" then {key: (.name | known), value: .new_value} else empty end
  | select(.key != null)] | from_entries;
def newest: sort_by(.record_last_updated | totime) | last;
def in_variables($all; $names): [$all[] as $v | $names[] as $name | $v | to_entries[] | select((.key | ascii_downcase | gsub("[ _-]"; "")) == $name) | .value | if type == "string" or type == "number" then . else null end];
([.[] | select(is_message | not)] | if . == [] then {} else newest end) as $c
| [.[] | select(is_message)] as $all
| ($all | group_by(._id | known) | map(if (.[0]._id | known) == null then .[] else newest end) | sort_by((.date_created | totime), (._id | known))) as $rows
| ($all | customers) as $customers
| if $all == [] and $c.is_engaged == true then refuse("its messages are missing: export the messages of the same days as well")
  elif $c.is_test_user == true then dropped("chat of a test user"), ($rows[] | dropped("message of a test user")) else
  [stored($rows), ($c.variables, $c.metavariables | json | if type == "object" then . else {} end)] as $variables
  | {id: (first($rows[].conversation_id, $c._id | known | values)),
     created_at: ($c.date_created | totime),
     end_user: ({external_id: ([in_variables($variables; ["userid", "customerid", "externalid"])[] | person | values] | last),
       email: ([in_variables($variables; ["emailaddress", "email"])[] | email | values] | last),
       phone: ([in_variables($variables; ["phone", "phonenumber"])[] | phone | values] | last),
       name: ([in_variables($variables; ["fullname", "name"])[] | person | values] | last)} | compact | given_id("ada:"; $c.end_user_id, $c.chatter_id, $rows[].chatter_id | person | values)),
     attributes: ({language: ($c.language | known), channel: ($c.platform | known), escalated: ($c.is_escalated | if type == "boolean" then . else null end),
       csat_score: ($c.csat | json | if type == "object" then .score else null end | if type == "number" then . else null end)} | compact),
     messages: [($rows[] | message_of($customers)), (range(($all | length) - ($rows | length)) | dropped("the same message again"))]}
  | compact end
