# title: Amazon Connect chat: transcripts in S3, Contact Lens files, and answers of GetTranscript
# record: a contact with its Transcript
# marks: Transcript
# closed: marker
# The flow's and the Lex bot's words have the role SYSTEM: they are the bot's. A file is written when the chat has ended; an answer of GetTranscript counts as closed if it has the
# event chat.ended. Contact Lens writes a Raw and a Redacted file of one contact: import one kind only. Voice contacts are refused. Items of an earlier contact
# of a persistent chat are dropped. Attachments have no address: their names are sent.
def who: .ParticipantRole | if . == "CUSTOMER" then "user" elif IN("AGENT", "SUPERVISOR") then "agent" elif IN("SYSTEM", "CUSTOM_BOT") then "bot" else null end;
def interactive: json | if type == "object" then (.data // {}) as $d | ([$d.replyMessage.title?, $d.content.title?, $d.content.subtitle? | said] | map(values)) + [$d.content.elements? | if type == "array" then options else null end | values] | lines else null end;
def words: .ContentType as $type | if $type == null or ($type | IN("text/plain", "text/markdown")) then .Content | said
  elif $type | startswith("application/vnd.amazonaws.connect.message.interactive.response") then (.Content | json | if type == "object" then [.. | objects | .title?, .label? | said] | lines else null end)
  elif $type | startswith("application/vnd.amazonaws.connect.message.interactive") then .Content | interactive else null end;
def name: .ContentType // .Type // "item without type" | split(".") | .[-2:] | join(".");
def item: who as $who | (.AbsoluteTime | totime) as $at
  | if .Type == "EVENT" then dropped(name) elif .Type == "ATTACHMENT" then (if $who == null then dropped("attachment of an unknown role") else {id: (.Id | known),
      text: ([.Attachments | if type == "array" then .[] else empty end | select(type == "object" and (.Status == null or .Status == "APPROVED")) | .AttachmentName | known | values | "[file: " + . + "]"] | lines)} | message($who; $at) end)
    elif .Type != "MESSAGE" then dropped(.Type // "item without type") elif $who == null then dropped("message of an unknown role")
    elif words == null and (.ContentType // "text/plain") != "text/plain" then dropped(.ContentType)
    else {id: (.Id | known), text: words, format: (if .ContentType == "text/markdown" then "markdown" else null end)} | message($who; $at) end;
. as $file
| if (.Transcript | type) != "array" then foreign("it has no Transcript") else . end
| if .Channel != null and .Channel != "CHAT" then refuse("it is not a chat: leave voice contacts out") else . end
| if any(.Transcript[]; type == "object" and has("BeginOffsetMillis") and (has("AbsoluteTime") | not)) then refuse("it is not a chat: leave voice contacts out") else . end
| if .NextToken != null and .NextToken != "" then refuse("the transcript has more pages: export it with all of them") else . end
| (.ContactId // (.CustomerMetadata | if type == "object" then .ContactId else null end)) as $named
| ([.Transcript[] | if type == "object" then . else refuse("an item is not an object: correct the record") end] | oldest_first(.AbsoluteTime | totime)) as $items
| ($named // ([$items[] | .ContactId | values] | last) // .InitialContactId) as $contact
| any($items[]; .ContactId != null) as $told
| [$items[] | select($told and (.ContactId != $contact))] as $earlier
| [$items[] | select(($told and (.ContactId != $contact)) | not)] as $own
| ([$own[] | select(.Type == "EVENT" and (.ContentType // "" | endswith("chat.ended"))) | .AbsoluteTime | totime] | last) as $ended
| {id: ($contact | known), closed_at: $ended, _closed: ($file.Version != null or $file.CustomerMetadata != null), _open: ($ended == null and $file.Version == null and $file.CustomerMetadata == null),
   end_user: ({name: ([$own[] | select(.ParticipantRole == "CUSTOMER") | .DisplayName | person | values] | first)} | compact),
   messages: ([$earlier[] | dropped("item of an earlier contact")] + [$own[] | item])}
| compact
