# title: Amazon Connect, chats
# record: a contact: its file in S3, its Contact Lens file, or an answer of GetTranscript
# export: the contact's chat file in S3 (/connect/…/ChatTranscripts), its Contact Lens file, or all pages of GetTranscript
# external_id: none
# pages: joined
# other_ids: DisplayName, as an e-mail address, phone number or name
# lists: if (has("InitiationMethod") or has("InitiationTimestamp")) and (has("Id") or has("ContactId")) and (has("Transcript") | not) then "it is the record of a contact without its Transcript, as searches and contact records have it: export the file of the chat from S3, or all pages of GetTranscript" else null end
# marks: Transcript
# detect: (.Transcript | type) == "array" and ([has("ContactId", "InitialContactId", "CustomerMetadata", "ContentMetadata", "ParticipantId"), (.Transcript[] | type == "object" and has("ParticipantId") and has("ContentType"))] | any)
# group_by: if type != "object" then null else [.ContactId, (.CustomerMetadata | if type == "object" then .ContactId else null end), .InitialContactId, ((.Transcript | if type == "array" then .[] else null end) | if type == "object" then .ContactId else null end), ($file | split("/") | last // "" | [scan("[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")] | first)] | map(known | values) | first end
# closed: marker
# Files of one contact are put together: its items are sent once, whether they are in several files or not. Where Contact Lens wrote a raw and a
# redacted file, only what is in the redacted ones is sent. A voice call or an e-mail is refused.
# Give all pages of GetTranscript for a contact, in any order. If pages are missing it is refused.
# A file was written after the end of its contact, and is closed at the event chat.ended, else at its last message. An answer of GetTranscript without
# that event is open.
# A contact that was transferred has a file for each part, which become conversations of their own. What a persistent chat repeats of earlier contacts
# is dropped.
# Connect gives the words of flows and of Lex bots the role SYSTEM. They are sent as the bot's, as are those of CUSTOM_BOT. Agents and supervisors who
# joined in are agents. Messages of the type application/json are no words to the customer, and are dropped.
# Lists, time pickers and other interactive messages become text with their options as lines. Attachments have no address, and are dropped.
# Files tell nothing about a customer but the name that is shown. If that is an e-mail address or a phone number, it is used as such.
def object: json | if type == "object" then . else {} end;
def list: json | if type == "array" then . else [] end;
def at: .AbsoluteTime | if type == "number" then totime else known | if . == null then null elif test("^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+$") then . + "Z" | totime else totime end end;
def upper: known | if . == null then null else ascii_upcase end;
def content_type: .ContentType | known | if . == null then null else ascii_downcase | split(";")[0] | known end;
# sorts by time; what has none stays behind what was before it, and of equal times the order is kept
def ordered: [foreach .[] as $m (null; ($m | at) // .; {at: ., $m})] | sort_by(.at) | map(.m);
def oldest_first($newest): ([.[] | at | values]) as $times
  | if ($times | length) < 2 then if $newest then reverse else . end
    elif $times[0] > $times[-1] or ($newest and $times[0] == $times[-1]) then reverse else . end;
def from_api: .Version == null and .CustomerMetadata == null and .AWSAccountId == null and .Participants == null;
def redacted: (.ContentMetadata | object | .Output | upper) == "REDACTED";
def words: if type == "object" then .text | said else said end;
# what a template for interactive messages shows
def template: if type != "object" or . == {} then [] else [(.title, .subtitle, .header, .body | words), (.location | object | .title | said),
    (.elements, .rows | list[] | if type == "object" and (.data | object | has("content")) then .data | object | .content | object | template[]
      else (if type == "object" then [.title, (.subtitle // .description) | said | values] | if length > 1 then "\(.[0]) (\(.[1]))" else first end else said end) | values | "- " + . end),
    (.timeslots | list[] | object | .date | known | values | "- " + .), (.sections, .pages | list[] | object | template[]),
    (.action | object | template[]), (.buttons | list[] | object | (.title // (.reply | object | .title)) | said | values | "- " + .), (.footer | words)] end;
def interactive: .Content | object | .data | object | .content | object | template | lines;
# what the buttons of interactive messages send, with what they show
def buttons: [.Content | object | .. | objects | {key: ((.actionDetail // .actionName // .id) | known), value: (.title | said)} | select(.key != null and .value != null)] | from_entries;
def chosen($titles): .Content | json
  | if type == "string" then said
    elif type != "object" then null
    else . as $c | (.data | object) as $d | [$c.title, $d.title, ($d.content | object | .title), ($d.listReply, $d.buttonReply, $d.list_reply, $d.button_reply | object | .title) | said | values] | first
      // ([$c.action, $d.actionName, $d.action, ($d.listReply, $d.buttonReply, $d.list_reply, $d.button_reply | object | .id) | known | values | $titles[.] | values] | first) end;
def event: ltrimstr("application/vnd.amazonaws.connect.event.") | if IN("participant.invited", "participant.joined", "participant.left", "participant.active", "participant.inactive", "participant.idle", "participant.returned",
    "participant.autodisconnection", "chat.ended", "chat.rehydrated", "transfer.succeeded", "transfer.failed", "typing", "message.delivered", "message.read", "connection.acknowledged", "authentication.initiated",
    "authentication.succeeded", "authentication.failed", "authentication.timeout", "authentication.cancelled", "participant.displayname.updated", "message.metadata") then . else "event of an unknown type" end;
def role($participants): ((.ParticipantRole | upper) // (.ParticipantId | known | if . == null then null else $participants[.] end))
  | if . == "CUSTOMER" then "user" elif IN("SYSTEM", "CUSTOM_BOT") then "bot" elif IN("AGENT", "SUPERVISOR") then "agent" else null end;
def item($participants; $titles): (.Type | upper) as $type | content_type as $kind | role($participants) as $role | at as $at | (.Id | known) as $id
  | if $type == "EVENT" or ($kind // "" | startswith("application/vnd.amazonaws.connect.event.")) then dropped($kind // "" | event)
    elif $type == "ATTACHMENT" and (.Content | said) == null then dropped("attachment without a web address")
    elif $type != null and ($type | IN("MESSAGE", "ATTACHMENT", "CHAT_MESSAGE") | not) then dropped("item of an unknown type")
    elif $role == null then dropped("message of an unknown role")
    elif $kind == "text/plain" or $kind == "text/markdown" or ($kind == null and (.Content | said) != null) or ($type == "ATTACHMENT") then
      {id: $id, text: (.Content | said), format: (if $kind == "text/markdown" then "markdown" else null end)} | message($role; $at)
    elif $kind == "application/vnd.amazonaws.connect.message.interactive" then interactive as $text
      | if $text == null then dropped("interactive message without text") else {id: $id, text: $text} | message($role; $at) end
    elif $kind == "application/vnd.amazonaws.connect.message.interactive.response" then chosen($titles) as $text
      | if $text == null then dropped("click without a label") else {id: $id, text: $text} | message($role; $at) end
    elif $kind == "application/json" then dropped($kind)
    elif $kind == null then dropped("message without text")
    else dropped("message of an unknown content type") end;
[.[] | if type != "object" or has("Transcript") == false then foreign("it has no Transcript") elif (.Transcript | json | type) != "array" then refuse("its Transcript is not an array: correct the file") else . end]
| if any(.[]; (.Channel | upper // "CHAT") != "CHAT") then refuse("it is no chat: leave voice calls, tasks and e-mails out") else . end
| if any(.[]; .Transcript | list | any(.[]; type != "object")) then refuse("an item of its Transcript is not an object: correct the file") else . end
| if any(.[]; .Transcript | list | any(.[]; has("BeginOffsetMillis") and (has("AbsoluteTime") | not))) then refuse("it is a voice call: leave it out") else . end
| [.[] | select(from_api)] as $pages | ([.[] | select(from_api | not)]) as $files
| if $files == [] and $pages != [] and all($pages[]; (.NextToken | known) != null) then refuse("pages of it are missing: get pages until there is no NextToken") else . end
| ([.[] | select(redacted)]) as $redacted
| (if $redacted != [] then $redacted else . end) as $used
| ([.[] | select($redacted != [] and (redacted | not)) | .Transcript | list[] | dropped("item that a redacted file has as well")]) as $raw
| ([$used[] | .ContactId, (.CustomerMetadata | object | .ContactId) | known | values] | first) as $contact
| ([$used[] | .InitialContactId | known | values] | first) as $initial
| ([$used[] | .Participants | list[] | object | {key: (.ParticipantId | known), value: (.ParticipantRole | upper)} | select(.key != null and .value != null)] | from_entries) as $participants
# all items, oldest first, each once
| ([$used[] | from_api as $newest | .Transcript | list | oldest_first($newest) | select(. != [])] | sort_by(first | at // "") | add // []) as $all
| (reduce $all[] as $i ({seen: {}, all: [], twice: []}; ($i.Id | known) as $id
    | if $id != null and .seen[$id] then .twice += [dropped("item that is there twice")] else (if $id != null then .seen[$id] = true else . end) | .all += [$i] end)) as $once
| ($once.all | ordered) as $all
| any($all[]; (.ContactId | known) != null) as $told
| ([$all[] | . + {_own: ($told == false or ((.ContactId | known) as $c | $c != null and ($contact == null or $c == $contact)))}]) as $all
| [$all[] | select(._own)] as $own
| (reduce $own[] as $i ({}; . + (if ($i | content_type) == "application/vnd.amazonaws.connect.message.interactive" then $i | buttons else {} end))) as $titles
| [$all[] | if ._own then item($participants; $titles) else dropped("item of another contact") end] as $messages
| ([$own[] | select(content_type == "application/vnd.amazonaws.connect.event.chat.ended") | at | values] | last) as $ended
| ([$messages[] | .created_at | values] | max) as $last | ([$own[] | at | values] | first) as $first
| [([$own[] | select(role($participants) == "user") | .DisplayName] + [$used[] | .Participants | list[] | object | select((.ParticipantRole | upper) == "CUSTOMER") | .DisplayName])[] | person | values] as $names
| {id: ($contact // ([$own[] | .ContactId | known | values] | first) // $initial // ($file | split("/") | last // "" | [scan("[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")] | first)),
   created_at: $first,
   closed_at: ($ended // (if $files == [] then null else $last // $first // (if $own == [] then "1970-01-01T00:00:00Z" else refuse("none of its items has a time: correct the file") end) end)),
   end_user: ({email: ([$names[] | email | values] | first), phone: ([$names[] | phone | values] | first),
     name: ([$names[] | select(email == null and phone == null)] | first)} | compact),
   attributes: ({language: ([$used[] | .LanguageCode | known | values] | first),
     categories: ([$used[] | .Categories | object | .MatchedCategories | list[] | known | values] | unique | if . == [] then null else . end)} | compact),
   messages: ($raw + $once.twice + $messages)}
| compact
