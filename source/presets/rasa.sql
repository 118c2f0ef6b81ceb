-- Rasa, the table events of the tracker store. All rows are read at each run: a session may begin long before it ends.
select sender_id, type_name, timestamp, action_name, data from events
