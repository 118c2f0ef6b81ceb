-- Chatwoot. Add "where c.account_id = 1" and "and c.inbox_id in (...)" for one account and the bot's inboxes.
select c.display_id, c.status, c.created_at, c.last_activity_at, string_to_array(nullif(c.cached_label_list, ''), ', ') as labels,
  k.identifier as contact_identifier, k.email as contact_email, k.phone_number as contact_phone_number, k.name as contact_name,
  coalesce((select json_agg(json_build_object('id', m.id, 'content', m.content, 'message_type', m.message_type, 'content_type', m.content_type, 'private', m.private,
       'sender_type', m.sender_type, 'content_attributes', m.content_attributes, 'created_at', m.created_at, 'updated_at', m.updated_at) order by m.created_at, m.id)
     from messages m where m.conversation_id = c.id), '[]') as messages
from conversations c left join contacts k on k.id = c.contact_id
