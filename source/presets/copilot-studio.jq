# title: Copilot Studio, conversation transcripts in Dataverse
# record: a row of the table conversationtranscript, whose content holds the activities as JSON
# marks: content
# detect: transcript | type == "object" and (.activities | type == "array")
# closed: file
# Dataverse writes a row after the conversation has ended, and keeps it for 30 days unless told otherwise. Only activities of type message are sent. The outcome of the
# session becomes the attribute outcome.
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

def transcript: field("content") | json;
. as $row | (transcript) as $t
| if ($t | type) != "object" or ($t.activities | type) != "array" then (if field("content") == null then foreign("it has no content") else refuse("its content is not JSON with activities: export the column content whole") end) else . end
| ([$t.activities[] | if type == "object" then . else refuse("an activity is not an object: correct the record") end] | sort_by(.timestamp | totime)) as $all
| ([$all[] | select(.valueType == "SessionInfo") | .value | if type == "object" then .outcome else null end | values] | last) as $outcome
| {id: (($row | field("conversationtranscriptid"; "conversation_transcript_id"; "name"; "id")) | known), created_at: (($row | field("conversationstarttime")) | totime),
   end_user: ($all | customer), attributes: ({outcome: ($outcome | known)} | compact), messages: [$all[] | activity]}
| compact
