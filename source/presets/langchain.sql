-- LangChain's message history: put the name of your table in the place of chat_history. Join what you know of the customer as columns
-- user_id, email, phone, name.
select id, session_id, message, created_at from chat_history
