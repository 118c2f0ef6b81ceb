# foreign(lack): rejects a record as none of this format, saying what it lacks
def foreign(lack): error("not_a_transcript: " + lack);
# refuse(why): rejects a record that is of this format but cannot be imported
def refuse(why): error("refused: " + why);
# oldest_first(time): a list that may be newest first, in the order of its times; of equal times the order is kept
def oldest_first(time): (if length > 1 and ((first | time) as $a | (last | time) as $b | $a != null and $b != null and $a > $b) then reverse else . end) | sort_by(time);
# given_id(prefix; id): an end_user that has no external_id, email or phone gets the prefix and an id that a product or a channel gave it as external_id: with better ones, such an id could belong to somebody else, or change
def given_id(prefix; id): if .external_id == null and .email == null and .phone == null then first(id, null) as $id | if $id == null then . else .external_id = prefix + $id end else . end;
