# title: Ada, messages and conversations of the data export API
# record: a row of messages; rows of conversations may stand among them
# marks: _id
# detect: (has("message_data") and has("conversation_id")) or (has("chatter_id") and has("is_engaged"))
# group_by: .conversation_id // ._id
# sort_by: [(.date_created | totime), ._id]
# closed: idle 1h
# Export the conversations, too: they say who the customer is (end_user_id, and the variables email, name, phone_number) and which chats are tests, which are left out.
# A conversation counts as closed if nobody wrote for an hour before the end of the data: write closed: file if the export holds nothing that still goes on.
def data: .message_data | json | if type == "object" then . else {} end;
def who: .sender | if type != "string" then null elif ascii_downcase | IN("ada", "bot") then "bot" elif ascii_downcase | IN("agent", "human", "human_agent") then "agent" else "user" end;
def choices: [(.quick_replies, .selectables) | if type == "array" then .[] else empty end] | options;
def one: who as $who | (.date_created | totime) as $at | (data) as $data | ($data._type // "message without type") as $type
  | if $who == null then dropped("message without sender")
    elif $type | IN("text", "trigger", "list_selection") then {id: (._id | known), text: ($data.body | said)} | message($who; $at)
    elif $type == "picture" then {id: (._id | known), text: ($data.alt_text | said), attachments: [$data | file(.pic_url; .alt_text) | values]} | message($who; $at)
    elif $type == "quick_replies" then {id: (._id | known), text: ($data | choices)} | message($who; $at)
    elif $type == "surfaceable_list_selection" then {id: (._id | known), text: ([($data.prompt | said), ($data | choices)] | lines)} | message($who; $at)
    else dropped($type) end;
([.[] | select(has("message_data") | not)] | last) as $c | [.[] | select(has("message_data"))] as $rows
| if $c.is_test_user == true then dropped("test chat") else
  ($c.variables | if type == "object" then . else {} end) as $v
  | {id: (($rows[0].conversation_id // $c._id) | known), created_at: ($c.date_created? | totime),
     end_user: (($v | identity | del(.external_id)) + ({external_id: (($c.end_user_id? | person) // ($c.chatter_id? | person) // ([$rows[].chatter_id | person | values] | first)), phone: (($v.phone_number? // $v.phone?) | phone)} | compact)),
     attributes: ({language: ($c.language? | known), escalated: ($c.is_escalated? | if type == "boolean" then . else null end)} | compact),
     messages: [$rows[] | one]}
  | compact end
