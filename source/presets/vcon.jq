# title: vCon, IETF conversation containers
# record: a vCon, unsigned and unencrypted, of the syntaxes 0.0.1 to 0.4.0
# detect: (has("parties") and has("dialog")) or (has("payload") and has("signatures")) or (has("ciphertext") and has("recipients"))
# closed: file
# Only dialogs of type text are a chat. A party of type bot is the bot, one with the role agent or with an organisation is an agent, another person the customer; the words of
# others are dropped. Signed and encrypted vCons, those of unknown syntaxes, and those with critical extensions are refused.
def list(x): x | if type == "array" then . else [] end;
def html: (.mediatype // .mimetype // "") | ascii_downcase | startswith("text/html");
def base64url: gsub("-"; "+") | gsub("_"; "/") | gsub("\\s"; "") | . + (["", "===", "==", "="][(length % 4)]) | @base64d;
def body: .encoding as $encoding | .body as $body | if $body == null then null
  elif $encoding == "base64url" then (if ($body | type) == "string" then (try ($body | base64url) catch refuse("the body of a dialog is not base64url: correct the record")) else null end)
  elif ($body | type) == "string" then ($body | if $encoding == "json" then (. as $s | (try fromjson catch $s) | if type == "string" then . else $s end) else . end) else null end
  | if type == "string" and (. != "") then . else null end;
def kind: (.type // "") as $type | (.role // (.meta | if type == "object" then .role else null end)) as $role | if $type == "bot" then "bot" elif ($role | IN("agent", "supervisor", "operator")) then "agent" elif ($role | IN("customer", "client", "caller", "user")) then "user" elif ($role | IN("bot", "assistant")) then "bot"
  elif (.org // .dept) != null or $type == "organization" then "agent" elif (.name // .tel // .mailto // .sip // .uuid) != null then "user" else null end;
def sender: .originator // (.parties | if type == "array" then (first | if type == "array" then first else . end) else . end);
if has("payload") and has("signatures") then refuse("it is signed (JWS): verify it and export the vCon within") elif has("ciphertext") and has("recipients") then refuse("it is encrypted (JWE): decrypt it") else . end
| if (has("parties") or has("dialog")) | not then foreign("it has neither parties nor dialog") else . end
| if (.vcon // "0.4.0") | IN("0.0.1", "0.0.2", "0.3.0", "0.4.0") then . else refuse("the value of vcon is not a known syntax (0.0.1, 0.0.2, 0.3.0, 0.4.0): export it in one of them") end
| if list(.critical) != [] then refuse("it has critical extensions, which this program does not know: export it without them") else . end
| list(.parties) as $parties
| ([range($parties | length) | select(($parties[.] | if type == "object" then kind else null end) == "user")] | first) as $n
| (if $n == null then {} else $parties[$n] end) as $customer
| {id: (.uuid | known), created_at: null,
   end_user: ({external_id: ($customer.uuid | person), email: ($customer.mailto | email), phone: ($customer.tel | phone), name: ($customer.name | person)} | compact),
   messages: [list(.dialog) | map(if type == "object" then . else refuse("a dialog is not an object: correct the record") end) | sort_by(.start | totime) | .[] | (.start | totime) as $at | . as $dialog
     | (sender as $s | if ($s | type) == "number" and ($parties[$s] | type) == "object" then ($parties[$s] | kind) else null end) as $who
     | if .type != "text" then dropped("dialog of type " + (.type // "none")) elif $who == null then dropped("message of an unknown party")
       else {id: (.message_id | known), text: (body | if . == null then null elif ($dialog | html) then html2text else . end), attachments: [file(.url; .filename) | values]} | message($who; $at) end]}
| compact
