# title: Bot Framework, activities
# record: an array of activities, an object with activities, or an activity
# arrays: one record
# detect: [acts] | length > 0 and all(.[]; type == "object" and (.type | type) == "string" and has("from") and has("conversation")) and any(.[]; .type == "message")
# each: acts
# group_by: .conversation | if type == "object" then .id else . end
# sort_by: .timestamp | totime
# closed: idle 1h
# Activities of many conversations may be mixed: they are grouped by conversation.id. A conversation is closed by endOfConversation, else if nobody wrote for an hour before
# the end of the data. Only activities of type message are sent.
def acts: if type == "array" then .[] elif (.activities | type) == "array" then .activities[] else . end;
def list(x): x | if type == "array" then . else [] end;
def role: .from | if type == "object" then .role else null end | if type == "string" then ascii_downcase else . end;
def who: role as $role | (.from | if type == "object" then .id else null end) as $id
  | if $role == 1 or $role == "1" or $role == "user" then "user" elif $role == 0 or $role == "0" or $role == "bot" or $role == "skill" then "bot" elif $role == "agent" then "agent"
    elif $role == null and ($id | type) == "string" and ($id | startswith("28:")) then "bot" elif $role == null and ($id | type) == "string" and ($id | startswith("29:")) then "user" else null end;
# the text of a card: Adaptive Cards have blocks, the others titles and buttons
def shown: (.content | json) as $c | if ($c | type) != "object" then null elif $c.type == "AdaptiveCard" or (.contentType == "application/vnd.microsoft.card.adaptive") then [($c | card), (list($c.actions) | map(.title?) | options)] | lines
  else [($c.title, $c.subtitle, $c.text | said), (list($c.buttons) | options)] | lines end;
def words: [(.text | if type == "string" then . else null end | said), (list(.attachments)[] | if type == "object" then shown else null end), (.suggestedActions | if type == "object" then list(.actions) | options else null end)] | lines;
def files: [list(.attachments)[] | if type == "object" then file(.contentUrl; .name) else null end | values];
def format: (.textFormat | if type == "string" then ascii_downcase else null end) as $f | if $f == "markdown" then "markdown" else null end;
def activity: who as $who | (.timestamp | totime) as $at
  | if .type != "message" then dropped(.valueType // .type // "activity without type") elif $who == null then dropped("message of an unknown role")
    else {id: (.id | known), text: (words as $w | if .textFormat == "xml" then $w | html2text else $w end), attachments: files, format: format} | message($who; $at) end;
def customer: ([.[] | select(.type == "message" and who == "user") | .from] | first) as $from
  | {external_id: (($from.aadObjectId? | person) // ($from.id? | person)), name: ($from.name? | person)} | compact;

. as $all
| {id: (.[0].conversation | if type == "object" then .id else . end | known), _closed: any($all[]; .type == "endOfConversation"), end_user: customer, messages: [$all[] | activity]}
