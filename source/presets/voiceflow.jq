# title: Voiceflow transcripts
# record: a transcript with its logs, as the API returns it
# detect: (if (.transcript | type) == "object" then .transcript else . end) | (.logs | type) == "array" and has("sessionID")
# closed: idle 1h
# A transcript is closed at endedAt, else if nobody wrote for an hour before the end of the data. Who the customer is comes from the properties (user_id, email, phone, name), else it
# is the session's id.
def list(x): x | if type == "array" then . else [] end;
def data: .data | json | if type == "object" then . else {} end;
def payload: data | .payload | if type == "string" and startswith("{") then json else . end;
def slate: [.. | objects | .text? | strings] | add;
def spoken: if type == "object" then ((.message | if type == "string" then . else null end) // (.slate | if . == null then null else slate end)) elif type == "string" then . else null end;
def caption: if type != "object" then said else ((.name // .label // .title) | said) // (.request | if type == "object" then .payload | if type == "object" then .label else null end else null end | said) end;
def choices: [list(.)[] | caption | values | "- " + .] | lines;
def cardtext: if type == "object" then [(.title | said), (.description | if type == "object" then .text else . end | said), (.buttons | choices)] | lines else null end;
def action($at): data.type as $type | payload as $p
  | if $type == "launch" then dropped("launch") elif $type == "text" then {text: ($p | if type == "object" then (.text // .message // .query) else . end | said)} | message("user"; $at)
    elif $type == "intent" then {text: ($p | if type == "object" then .query else null end | said)} | message("user"; $at)
    elif ($p | type) == "object" and ($p.label // $p.query) != null then {text: (($p.label // $p.query) | said)} | message("user"; $at)
    elif ($type | type) == "string" and ($type | startswith("path-")) then {text: ($p | if type == "string" then said else null end)} | message("user"; $at) else dropped($type // "action without type") end;
def trace($at): data.type as $type | payload as $p
  | if $type == "text" then {text: ($p | spoken | said)} | message("bot"; $at)
    elif $type == "speak" then {text: ($p | spoken | if type == "string" then ssml2text | said else null end)} | message("bot"; $at)
    elif $type == "choice" then {text: ($p | if type == "object" then .buttons | choices else null end)} | message("bot"; $at)
    elif $type == "visual" then {attachments: [$p | if type == "object" then file(.image; null) else null end | values]} | message("bot"; $at)
    elif $type == "cardV2" or $type == "card" then {text: ($p | cardtext), attachments: [$p | if type == "object" then file(.imageUrl; .title) else null end | values]} | message("bot"; $at)
    elif $type == "carousel" then {text: ([$p | if type == "object" then list(.cards)[] | cardtext else null end] | lines), attachments: [$p | if type == "object" then list(.cards)[] | file(.imageUrl; .title) else null end | values]} | message("bot"; $at)
    else dropped($type // "trace without type") end;
(if (.transcript | type) == "object" then .transcript else . end) as $t
| if ($t.logs | type) != "array" then foreign("it has no logs") else . end
| ([list($t.properties)[] | select(type == "object" and (.name | type) == "string") | {(.name): .value}] | add // {}) as $properties
| ($properties | identity) as $who
| {id: (($t.id // $t._id) | known), created_at: ($t.createdAt | totime), closed_at: ($t.endedAt | totime),
   end_user: ({external_id: ($t.sessionID | person)} + $who | compact),
   messages: [$t.logs | to_entries | map(.value + {_n: .key}) | sort_by([(.createdAt | totime), ._n]) | .[] | (.createdAt | totime) as $at
     | if .type == "action" then action($at) elif .type == "trace" then trace($at) else dropped(.type // "log without type") end]}
| compact
