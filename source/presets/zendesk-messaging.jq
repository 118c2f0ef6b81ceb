# title: Zendesk messaging, Sunshine Conversations v2
# record: a conversation joined with its messages and its user
# marks: messages
# detect: (.messages | type == "array") and any(.messages[]; type == "object" and has("received") and (.author | type) == "object" and (.content | type) == "object")
# closed: idle 24h
# Join the conversation, its messages (all pages) and its user. A conversation is closed by the message that says that its ticket was closed, else if nobody wrote for a
# day before the end of the data. Whether a bot or a person wrote is told by source.type. Surveys, activities and deleted messages are dropped.
def list(x): x | if type == "array" then . else [] end;
def activity: (.activity | if type == "object" then .type else null end) // (.content | if type == "object" then .activity else null end | if type == "object" then .type else null end);
def who: (.source | if type == "object" then .type else null end) as $source | (list(.author.subtypes?) | index("AI")) as $ai
  | if .author.type == "user" then "user" elif .author.type != "business" then null elif $ai != null or ($source | IN("zd:answerBot", "ultimate", "api:conversations", "zd:aiAgent", "zd:flowBuilder")) then "bot" else "agent" end;
def item: [(.title, .description | said), (list(.actions) | map(.text) | options)] | lines;
def words($who): .content | if .type == "text" then [((.text // .markdownText | said) // (.htmlText | if type == "string" then html2text else null end)), (if $who == "user" then null else list(.actions) | map(.text) | options end)] | lines
  elif .type | IN("image", "file") then .text | said
  elif .type | IN("carousel", "list") then [list(.items)[] | item] | lines
  elif .type == "form" then [list(.fields)[] | .label | said | values | "- " + .] | lines
  elif .type == "formResponse" then (.textFallback | said) // ([list(.fields)[] | [(.label | said), ((.text // .email // (list(.select) | map(.label? // .text?) | map(values) | join(", "))) | said)] | map(values) | join(": ")] | lines)
  elif .type == "location" then [(.location | if type == "object" then .name, .address else null end | said), (.coordinates | if type == "object" then "\(.lat), \(.long)" else null end)] | lines
  else null end;
def files: .content | [if .type | IN("image", "file") then file(.mediaUrl; .altText) elif .type | IN("carousel", "list") then (list(.items)[] | file(.mediaUrl; .title)) else null end | values];
def one: who as $who | (.received | totime) as $at
  | if activity != null or (list(.author.subtypes?) | index("activity")) then dropped(activity // "activity") elif .deleted == true then dropped("deleted message") elif (.source | type == "object" and .type == "zd:surveys") then dropped("survey")
    elif $who == null then dropped("message of an unknown author") elif (.content | type) != "object" then dropped("message without content")
    elif .content.type | IN("text", "image", "file", "carousel", "list", "form", "formResponse", "location") then {id: (.id | known), text: words($who), attachments: files} | message($who; $at)
    else dropped(.content.type // "message without type") end;
(if (.conversation | type) == "object" then .conversation else . end) as $c
| if (.messages | type) != "array" then foreign("it has no messages") else . end
| if (.meta | type) == "object" and (.meta.hasMore == true) then refuse("its messages have more pages: export the conversation with all of them") else . end
| (.messages | map(if type == "object" then . else refuse("a message is not an object: correct the record") end) | oldest_first([(.received | totime), .id])) as $messages
| ([$messages[] | select(.author.type? == "user") | .author] | first) as $author
| ([(if (.user | type) == "object" then .user else empty end), (list(.users)[], list(.participants)[] | select(type == "object") | if (.user | type) == "object" then .user else . end)] | first) as $user
| ($user.profile? // {}) as $profile
| {id: (($c.id // .conversationId) | known), created_at: ($c.createdAt? | totime),
   closed_at: ([$messages[] | select(activity == "ticket:closed") | .received | totime] | last),
   end_user: ({external_id: (($user.externalId? | person) // ($author.userExternalId? | person) // ($user.id? | person) // ($author.userId? | person)),
     email: (($profile.email? | email) // ([list($user.identities?)[] | select(.type == "email") | .value | email | values] | first)), phone: ([list($user.identities?)[] | select(.type == "phoneNumber") | .value | phone | values] | first),
     name: (([$profile.givenName?, $profile.surname? | said | values] | join(" ") | person) // ($author.displayName? | person))} | compact),
   messages: [$messages[] | one]}
| compact
