# title: Zendesk messaging, Sunshine Conversations v2
# record: a conversation joined with its messages and its user
# export: GET /v2/apps/{app}/conversations/{id}, joined with all pages of its /messages and with /users/{id}
# external_id: externalId of the user (userExternalId); else zendesk-messaging:<userId> (*)
# other_ids: profile email, givenName, surname; identities email, phoneNumber
# lists: if has("id") and (has("activeSwitchboardIntegration") or has("isDefault") or (.type | IN("personal", "sdkGroup"))) and (has("messages") | not) then "it is a conversation without messages, as lists of conversations return it: join it with all pages of GET /v2/apps/{app}/conversations/{id}/messages" else null end
# marks: messages
# detect: (.messages | json | if type == "object" then .messages else . end | if type == "array" then map(objects) else [] end) as $m | ($m | any(has("received") and has("author") and has("content"))) or ($m == [] and (if (.conversation | type) == "object" then .conversation else . end | has("activeSwitchboardIntegration") or has("isDefault") or (.type | IN("personal", "sdkGroup"))))
# closed: idle 24h
# Join the conversation, its messages (all pages) and its user: the conversation's fields with messages and user beside them, or
# {conversation, messages, user}.
# A conversation is closed by the message that says that its ticket was closed, if nobody wrote after that. Else it counts as closed if nobody
# wrote for a day before the end of the data. A customer who writes again goes on in the same conversation: what comes after a transcript was
# imported becomes a follow-up with transcripts.grown: follow_up.
# Whether a bot or a person wrote is told by source.type: zd:answerBot, ultimate and api:conversations are the bot, zd:agentWorkspace and
# zd:agentCopilot are agents. What else a business sent counts as the bot's if it is marked as made by AI, and is dropped otherwise: add the
# sources of your integrations to bots or people in a copy of this program.
# Surveys, activities, deleted messages and templates are dropped. Files that Zendesk keeps private cannot be fetched from their addresses.
def bots: ["zd:answerBot", "ultimate", "api:conversations"];
def people: ["zd:agentWorkspace", "zd:agentCopilot"];
def object: json | if type == "object" then . else {} end;
def list(name): json | if type == "object" then .[name] | json else . end | if type == "array" then . else null end;
def html: if type == "string" then html2text | said else null end;
def ordered(at): (if length > 1 and (first | at) != null and (last | at) != null and (first | at) > (last | at) then reverse else . end)
  | [foreach .[] as $m (null; ($m | at) // .; {at: ., $m})] | sort_by(.at) | map(.m);
def author: .author | object;
def body: .content | object;
def origin: .source | if type == "string" then . else object | .type end | known;
def subtypes: author.subtypes | list("subtypes") // [];
def activity: ((.activity | if type == "string" then . else object | .type end | known) // (body.activity | if type == "string" then . else object | .type end | known)
  // (if subtypes | index("activity") then "activity" else null end));
def who: origin as $origin
  | if author.type == "user" then "user"
    elif author.type != "business" then null
    elif any(people[]; . == $origin) then "agent"
    elif any(bots[]; . == $origin) or (subtypes | index("AI")) then "bot"
    else null end;
def buttons: [.actions | list("actions") // [] | .[] | objects | .text | said | values | "- " + .] | lines;
def items: .items | list("items") // [] | .[] | objects;
def answers: [.fields | list("fields") // [] | .[] | objects | [(.label // .name | said), ((.text // .email // .value // .select) | if type == "array" then [.[] | if type == "object" then .label // .text // .name else . end | said | values] | join(", ") elif type == "number" or type == "boolean" then tostring else said end | said)] | map(values) | join(": ")] | lines;
def place: (.location | object) as $l | (.coordinates | object) as $c
  | [$l.name, $l.address, (if $c.lat != null and $c.long != null then "\($c.lat), \($c.long)" else null end)] | lines;
# {text, format} of a content
def words($role; $titles): (if $role == "user" then null else buttons end) as $buttons
  | if .type == "text" then
      if .markdownText | said != null then {text: ([.markdownText, $buttons] | lines), format: "markdown"}
      else {text: ([(.htmlText | html) // (.text | said) // (if $role == "user" then .payload | strings | $titles[.] else null end), $buttons] | lines)} end
    elif .type | IN("image", "file") then {text: ([(.htmlText | html) // .text, $buttons] | lines)}
    elif .type | IN("carousel", "list") then {text: (([items | .title, .description, buttons] + [$buttons] | lines) // (.text | said))}
    elif .type == "form" then {text: ([.text, ([.fields | list("fields") // [] | .[] | objects | {title: (.label // .name)}] | options)] | lines)}
    elif .type == "formResponse" then {text: ((.textFallback | said) // answers)}
    elif .type == "location" then {text: (place // (.text | said))}
    else null end;
def enclosed: [if .type | IN("image", "file") then {url: .mediaUrl, name: .altText} elif .type | IN("carousel", "list") then items | select(.mediaUrl != null) | {url: .mediaUrl, name: (.altText // .title)} else empty end]
  + [.htmlText | strings | scan("<img\\b[^>]*?\\ssrc\\s*=\\s*[\"']([^\"']+)[\"']"; "i") | {url: (first | gsub("&amp;"; "&"))}];
# a participant has an id of its own beside the user's
def user_id: .userId // (.user | object | .id) // .id | known;
def one($titles): who as $role | origin as $origin | (.received | totime) as $at | body as $body
  | if activity != null then dropped(activity)
    elif .deleted | IN(true, "true") then dropped("deleted message")
    elif $origin == "zd:surveys" then dropped("survey")
    elif $role == null then dropped(if author.type != "business" then "message of an unknown author" elif $origin == null then "message without a source" else "message from " + $origin end)
    else ($body | words($role; $titles)) as $words
      | if $words == null then dropped($body.type | known // "message without content")
        else ($body | [enclosed[] | file(.url; .name) | values]) as $files
          | if $words.text == null and $files == [] then dropped(if $body | enclosed != [] then "attachment without a web address" else $role + " without text" end)
            else {id: (.id | known), text: $words.text, format: $words.format, attachments: $files} | message($role; $at) end end end;
if type != "object" or (has("messages") | not) then foreign("it has no messages") else . end
| . as $r
| ($r + ($r.conversation | object)) as $c
| ($r.messages | list("messages")) as $list
| if $list == null then refuse("its messages are no array: join the conversation with all its messages") else . end
| ([$list[] | json | if type == "object" then . else refuse("one of its messages is not an object: correct the record") end] | ordered(.received | totime)) as $all
| if any($all[]; author.type == "business") and all($all[] | select(author.type == "business" and activity == null); origin == null and who == null)
     and any($all[]; author.type == "business" and activity == null) then refuse("its messages do not say where they come from, so bots cannot be told from people: export their field source") else . end
| ([$all[] | body | (., items) | .actions | list("actions") // [] | .[] | objects | select((.payload | type) == "string" and .text != null) | {(.payload): (.text | said)}] | add // {}) as $titles
| [$all[] | one($titles)] as $messages
| ([$all[] | select(author.type == "user") | author] | first // {}) as $author | ($author | user_id) as $me
| ([$r.user, $author.user, ($r.users | list("users") // [] | .[]), ($c.participants | list("participants") // [] | .[])] | map(json | objects | . + (.user | object))
   | map(select(user_id | . == null or $me == null or . == $me))) as $users
| ([$messages[] | .created_at | values] | max) as $last
| ([$all[] | select(activity == "ticket:closed") | .received | totime | values] | max) as $closed
| if $last == null and ($c.createdAt | totime) == null and any($messages[]; has("_drop") | not) then refuse("none of its messages has a time: export their field received") else . end
| {id: (($r.conversation | object | .id | known) // ($r.id | known) // ($r.conversationId | known)), created_at: ($c.createdAt | totime),
   closed_at: (if $closed != null and ($last == null or $closed >= $last) then $closed else null end),
   end_user: ({external_id: first(($users[] | .externalId, .userExternalId | person | values), ($author.userExternalId | person | values), null),
     email: first(($users[] | (.profile | object | .email), (.identities | list("identities") // [] | .[] | objects | select(.type == "email") | .value) | email | values), null),
     phone: first(($users[] | .identities | list("identities") // [] | .[] | objects | select(.type == "phoneNumber") | .value | phone | values), null),
     name: (first($users[] | .profile | object | [.givenName, .surname | person | values] | select(. != []) | join(" ")) // ($author.displayName | person) | if . != null and test("^(Web|iOS|Android) User [0-9a-f]+$") then null else . end)} | compact
     | given_id("zendesk-messaging:"; ($users[] | user_id | values), ($author | user_id))),
   attributes: ({language: first(($users[] | .profile | object | .locale | known | values), null), channel: ([$all[] | select(who == "user" and origin != "zd:surveys") | origin | values] | first)} | compact),
   messages: $messages}
| compact
