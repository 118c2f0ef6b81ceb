# title: Intercom conversations, with Fin
# record: a conversation with its conversation_parts, as GET /conversations/{id} returns it
# marks: conversation_parts
# detect: (.source | type == "object") and (parts | type == "array")
# closed: marker
# The API returns at most 500 parts: a conversation of which it says that there are more is refused, as its beginning is missing. Notes, and every kind of part that
# is not known to be public, are dropped. Fin and the Operator are the bot, admins are agents. Open and snoozed conversations count as open.
def parts: .conversation_parts | if type == "object" then .conversation_parts else . end;
def who: (.author // {}) as $a | if $a.type | IN("user", "lead", "contact", "visitor") then "user" elif $a.from_ai_agent == true or $a.is_ai_answer == true or $a.type == "bot" then "bot" elif $a.type | IN("admin", "team", "teammate") then "agent" else null end;
def files: [(.attachments | if type == "array" then .[] else empty end) | if type == "object" then file(.url; .name) else null end | values];
def choices: [.metadata | if type == "object" then .quick_reply_options else null end | if type == "array" then .[] else empty end] | options;
def words: [(.body | if type == "string" then html2text else null end), choices] | lines;
def public: .part_type | IN("comment", "quick_reply", "close", "open", "assign_and_reopen");
def part: .part_type as $kind | who as $who | (.created_at | totime) as $at | words as $words
  | if (public | not) then dropped($kind // "part without type") elif .redacted == true and $words == null then dropped("redacted")
    elif $words == null and files == [] and $kind != "comment" then dropped($kind)
    elif $who == null then dropped("message of an unknown author") else {id: (.id | known), text: $words, attachments: files} | message($who; $at) end;
def opening: who as $who | words as $words | (.created_at | totime) as $at
  | if $words == null and files == [] then dropped("source without text") elif $who == null then dropped("message of an unknown author") else {id: (.id | known), text: $words, attachments: files} | message($who; $at) end;
if (parts | type) != "array" then foreign("it has no conversation_parts") else . end
| if (.conversation_parts | type) == "object" and ((.conversation_parts.total_count // 0) > (parts | length)) then refuse("some of its parts are missing, as the API returns the newest 500: leave the conversation out, or add the missing parts") else . end
| (.state // (if .open == false then "closed" elif .open == true then "open" else null end)) as $state
| if $state | IN("open", "closed", "snoozed") then . else refuse("its state is neither open, closed nor snoozed: correct the record") end
| .created_at as $created
| (if (.source | type) == "object" then [.source | .created_at //= $created] else [] end) as $source
| ($source + parts) as $all
| ([$all[] | select(who == "user") | .author] | first) as $author
| ([.contacts | if type == "object" then .contacts else . end | if type == "array" then .[] else empty end] | first) as $contact
| {id: (.id | known), created_at: (.created_at | totime), direction: (if ($source[0] | . != null and who != "user" and (.delivered_as | IN("operator_initiated", "admin_initiated", "automated"))) then "outbound" else null end),
   closed_at: (if $state == "closed" then ((.statistics | if type == "object" then .last_close_at else null end) // ([parts[] | select(.part_type == "close") | .created_at] | last)) | totime else null end),
   _closed: ($state == "closed"),
   end_user: ({external_id: (($contact.external_id? | person) // ($contact.id? | person) // ($author.id? | person)), email: (($contact.email? | email) // ($author.email? | email)), phone: ($contact.phone? | phone),
     name: (($contact.name? | person) // ($author.name? | person))} | compact),
   attributes: ({rating: (.conversation_rating | if type == "object" then .rating else null end), ai_resolution: (.ai_agent | if type == "object" then .resolution_state else null end),
     tags: ([.tags | if type == "object" then .tags else . end | if type == "array" then .[] else empty end | if type == "object" then .name else . end | known | values] | if . == [] then null else . end)} | compact),
   messages: ([$source[] | opening] + [parts | sort_by(.created_at | totime) | .[] | if type != "object" then refuse("a part is not an object: correct the record") else part end])}
| compact
