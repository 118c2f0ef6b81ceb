-- Vercel's ai-chatbot, the tables "Chat", "Message_v2" and "User" of its template.
select c.id, c."createdAt", json_build_object('id', c."userId", 'email', u.email) as "user",
  coalesce((select json_agg(json_build_object('id', m.id, 'role', m.role, 'parts', m.parts, 'attachments', m.attachments, 'createdAt', m."createdAt") order by m."createdAt")
     from "Message_v2" m where m."chatId" = c.id), '[]') as messages
from "Chat" c left join "User" u on u.id = c."userId"
