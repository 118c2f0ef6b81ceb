# title: Intercom conversations, with Fin
# record: a conversation with its conversation_parts, as GET /conversations/{id} returns it
# export: GET /conversations/{id}, of each conversation
# external_id: external_id of the contact; else intercom:<contact id> (*)
# other_ids: email, phone, name of the contact or the author
# lists: if (.type == "conversation" or (has("source") and has("state"))) and (has("contacts") or has("source") or has("state")) and (has("conversation_parts") | not) then "it is a conversation without its conversation_parts, as lists and searches of conversations return it: get each by itself with GET /conversations/{id}" else null end
# marks: conversation_parts
# detect: .type == "conversation" or has("source") or has("contacts") or has("state")
# closed: marker
# Export each conversation by itself: lists of conversations come without their parts. Intercom returns at most 500 parts. A conversation with
# more is refused, as its beginning is missing.
# Only parts that the customer could read are sent: comments, quick replies, and the texts with which somebody closed, opened or took over the
# conversation. Notes and all other parts are dropped. Fin and the Operator are the bot, teammates are agents.
# Closed conversations are closed at statistics.last_close_at, else at the last part of the type close, else at the last message. Open and snoozed
# ones are open.
# Pictures within a text become attachments. Intercom's addresses of files expire: import soon after you export.
def object: json | if type == "object" then . else {} end;
def list(name): json | if type == "object" then .[name] | json else . end | if type == "array" then . else null end;
def scalar: if type == "number" or type == "boolean" then . else said end;
# a text that is not HTML keeps its line feeds
def html: if type != "string" then null
  elif test("<[A-Za-z/!][^>]*>") then html2text
  elif test("&(#[0-9]+|#[xX][0-9A-Fa-f]+|[A-Za-z][A-Za-z0-9]*);") then gsub("\r?\n"; "<br>") | html2text
  else . end | said;
# sorts by time; what has none stays behind what was before it, and of equal times the order is kept
def ordered(at): (if length > 1 and (first | at) != null and (last | at) != null and (first | at) > (last | at) then reverse else . end)
  | [foreach .[] as $m (null; ($m | at) // .; {at: ., $m})] | sort_by(.at) | map(.m);
def who: (.author | object) as $a
  | if $a.type | IN("user", "lead", "contact", "visitor") then "user"
    elif $a.type == "bot" or ($a.from_ai_agent == true and ($a.type | IN("admin", "team", null))) then "bot"
    elif $a.type | IN("admin", "team") then "agent"
    else null end;
# the first message need not name its author
def opening: (.author | object | .type | known) as $type
  | if who != null or $type != null then who
    elif .delivered_as == "customer_initiated" then "user"
    elif .delivered_as == "admin_initiated" then "agent"
    elif .delivered_as | IN("operator_initiated", "automated", "campaigns_initiated") then "bot"
    else null end;
def choices: .metadata | object | .quick_reply_options | list("quick_reply_options") // [];
def pictures: [.body | strings | scan("<(?:img|video|audio|source|iframe)\\b[^>]*?\\ssrc\\s*=\\s*[\"']([^\"']+)[\"']"; "i") | {url: (first | gsub("&amp;"; "&"))}];
def enclosed: [(.attachments | list("attachments") // [] | .[] | objects), pictures[]];
def files: [enclosed[] | file(.url; .name) | values] | [foreach .[] as $f ({}; {seen: (.seen + {($f.url): true}), new: (.seen | has($f.url) | not)}; if .new then $f else empty end)];
# the subject of an e-mail, the text, and what the customer may choose; a click without a text shows what was chosen
def words($titles): (.body | html) as $body | (.subject | html) as $subject
  | [(if $subject != null and ($body // "" | startswith($subject) | not) then $subject else null end),
     ($body // (.metadata | object | .quick_reply_uuid | strings | $titles[.]) // null), (choices | options)] | lines;
def sent($role; $titles; $at): words($titles) as $words | files as $files
  | if .redacted == true then dropped("redacted message")
    elif $words == null and $files == [] then dropped(if enclosed != [] then "attachment without a web address" else "message without text" end)
    elif $role == null then dropped("message of an unknown author")
    else {id: (.id | known), text: $words, attachments: $files} | message($role; $at) end;
def part($titles): (.part_type | known) as $kind | ((.body | html) != null or enclosed != []) as $says
  | if $kind == null then dropped("part without a type")
    elif ($kind | IN("comment", "quick_reply")) or ($says and ($kind | IN("close", "open", "assign_and_reopen"))) then sent(who; $titles; .created_at | totime)
    elif $says and ($kind | startswith("note") | not) then dropped($kind + " with a text")
    else dropped($kind) end;
if type != "object" or (has("conversation_parts") | not) then foreign("it has no conversation_parts") else . end
| . as $c
| ($c.conversation_parts | list("conversation_parts")) as $list
| if $list == null then refuse("its parts are missing, as lists of conversations have none: export each conversation by itself") else . end
| ($c.conversation_parts | object | .total_count | if type == "string" then tonumber? else . end) as $total
| if ($total | type) == "number" and $total > ($list | length) then refuse("some of its parts are missing, as Intercom returns at most 500: add them, or leave the conversation out") else . end
| ($c.state | known // (if $c.open == false then "closed" elif $c.open == true then "open" else "" end) | ascii_downcase) as $state
| if $state | IN("open", "closed", "snoozed") then . else refuse("its state is none of open, closed and snoozed: correct the record") end
| ([$list[] | json | if type == "object" then . else refuse("one of its parts is not an object: correct the record") end] | ordered(.created_at | totime)) as $parts
| ($c.created_at | totime) as $created
| ($c.source | json) as $source
| if $source == null and $c.source == null or ($source | type) == "object" then . else refuse("its source is not an object: correct the record") end
| ($source // {}) as $source
| ([$parts[] | choices[] | objects | select((.uuid | type) == "string") | {(.uuid): (.text | said)}] | add // {}) as $titles
| ($source | if . == {} then [] else [sent(opening; $titles; $created)] end) as $first
| ($first + [$parts[] | part($titles)]) as $messages
| ($c.contacts | list("contacts") // [] | map(objects) | first // {}) as $contact
| ($c.user | object) as $old
| ([$source, $parts[] | select(who == "user") | .author | object] | (map(select(.id != null and .id == $contact.id)) + .) | first // {}) as $author
| ([$messages[] | .created_at | values] | max) as $last
| {id: ($c.id | known), created_at: $created,
   direction: (if ($first[0].role // "user") != "user" and ($source.delivered_as | IN("operator_initiated", "admin_initiated", "automated", "campaigns_initiated")) then "outbound" else null end),
   closed_at: (if $state != "closed" then null
     else ($c.statistics | object | .last_close_at | known | if . == "0" then null else totime end) // ([$parts[] | select(.part_type == "close") | .created_at | totime | values] | last) // $last // $created
       // refuse("it is closed, but neither it nor its messages have a time: correct the record") end),
   end_user: ({external_id: (($contact.external_id | person) // ($old.user_id | person)),
     email: (($contact.email | email) // ($author.email | email) // ($old.email | email)), phone: (($contact.phone | phone) // ($old.phone | phone)),
     name: (($contact.name | person) // ($author.name | person) // ($old.name | person))} | compact | given_id("intercom:"; $contact.id, $old.id, $author.id | person | values)),
   attributes: ({rating: ($c.conversation_rating | object | .rating | scalar), ai_resolution: ($c.ai_agent | object | .resolution_state | scalar),
     ai_rating: ($c.ai_agent | object | .rating | scalar), channel: ($source.type | scalar),
     tags: ([$c.tags | list("tags") // [] | .[] | if type == "object" then .name else . end | known | values] | if . == [] then null else . end)} | compact),
   messages: $messages}
| compact
