package source

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

// productTables are the tables of the queries of formats as the products make them, with a few chats.
var productTables = map[string]struct{ sql, want string }{
	// rasa/core/tracker_store.py, SQLEvent
	"rasa": {`create table events (id serial primary key, sender_id varchar(255) not null, type_name varchar(255) not null, timestamp double precision, intent_name varchar(255), action_name varchar(255), data text);
		create index on events (sender_id);
		insert into events (sender_id, type_name, timestamp, action_name, data) values
		('a', 'action', 1763539200.1, 'action_session_start', '{"event": "action", "name": "action_session_start"}'),
		('a', 'user', 1763539201.123456, null, '{"event": "user", "text": "hi \\u00e6 \\u0000", "message_id": "m1"}'),
		('b', 'user', 1763539202.5, null, '{"event": "user", "text": "other"}'),
		('a', 'bot', 1763539203, null, '{"event": "bot", "text": "hello", "data": {"buttons": null}}'),
		('a', 'user', 1763549203, null, '{"event": "user", "text": "again"}'),
		('b', 'user', 1763549204, null, '{"event": "user", "text": "late"}');`,
		`a@2025-11-19T08:00:00Z: 2025-11-19 08:00:01.123 to 2025-11-19 08:00:03.000
  external_id: a
  2025-11-19 08:00:01.123 user text "hi æ �"
  2025-11-19 08:00:03.000 bot text "hello"

a@2025-11-19T10:46:43Z: open

b@2025-11-19T08:00:02Z: 2025-11-19 08:00:02.500 to 2025-11-19 08:00:02.500
  external_id: b
  2025-11-19 08:00:02.500 user text "other"

b@2025-11-19T10:46:44Z: open

records 6, groups 2, transcripts 4
dropped action: 1
`},
	// langchain-postgres, PostgresChatMessageHistory.create_tables
	"langchain": {`create table chat_history (id serial primary key, session_id uuid not null, message jsonb not null, created_at timestamp with time zone not null default now());
		insert into chat_history (session_id, message, created_at) values
		('7d1f3c52-1f0c-4b52-9c0e-5a4f2f6f9b10', '{"type": "human", "data": {"content": "hi", "type": "human"}}', '2025-11-19 08:00:00.5+00'),
		('7d1f3c52-1f0c-4b52-9c0e-5a4f2f6f9b10', '{"type": "ai", "data": {"content": "hello", "type": "ai", "tool_calls": []}}', '2025-11-19 08:00:00.5+00'),
		('8d1f3c52-1f0c-4b52-9c0e-5a4f2f6f9b10', '{"type": "human", "data": {"content": "late", "type": "human"}}', '2025-11-19 10:00:00+00');`,
		`7d1f3c52-1f0c-4b52-9c0e-5a4f2f6f9b10: 2025-11-19 08:00:00.500 to 2025-11-19 08:00:00.501
  2025-11-19 08:00:00.500 user text "hi"
  2025-11-19 08:00:00.501 bot markdown "hello"

8d1f3c52-1f0c-4b52-9c0e-5a4f2f6f9b10: open

records 3, groups 2, transcripts 2
`},
	// vercel/ai-chatbot, lib/db/schema.ts
	"vercel-ai": {`create table "User" (id uuid primary key, email varchar(64) not null, password varchar(64));
		create table "Chat" (id uuid primary key, "createdAt" timestamp not null, title text not null, "userId" uuid not null references "User", visibility varchar not null default 'private');
		create table "Message_v2" (id uuid primary key, "chatId" uuid not null references "Chat", role varchar not null, parts json not null, attachments json not null, "createdAt" timestamp not null);
		insert into "User" values ('00000000-0000-4000-8000-000000000001', 'ann@example.org', null), ('00000000-0000-4000-8000-000000000002', 'guest-1763', null);
		insert into "Chat" values ('10000000-0000-4000-8000-000000000001', '2025-11-19 08:00:00', 't', '00000000-0000-4000-8000-000000000001'), ('10000000-0000-4000-8000-000000000002', '2025-11-19 10:00:00', 't', '00000000-0000-4000-8000-000000000002');
		insert into "Message_v2" values ('20000000-0000-4000-8000-000000000002', '10000000-0000-4000-8000-000000000001', 'assistant', '[{"type": "reasoning", "text": "secret"}, {"type": "text", "text": "hello"}]', '[]', '2025-11-19 08:00:02.25'),
		('20000000-0000-4000-8000-000000000001', '10000000-0000-4000-8000-000000000001', 'user', '[{"type": "text", "text": "hi"}]', '[]', '2025-11-19 08:00:01'),
		('20000000-0000-4000-8000-000000000003', '10000000-0000-4000-8000-000000000002', 'user', '[{"type": "text", "text": "late"}]', '[]', '2025-11-19 10:00:01');`,
		`10000000-0000-4000-8000-000000000001: 2025-11-19 08:00:00.000 to 2025-11-19 08:00:02.250
  external_id: 00000000-0000-4000-8000-000000000001
  email: ann@example.org
  2025-11-19 08:00:01.000 user text "hi"
  2025-11-19 08:00:02.250 bot markdown "hello"

10000000-0000-4000-8000-000000000002: open

records 2, groups 0, transcripts 2
dropped reasoning: 1
`},
	// chatwoot, db/schema.rb
	"chatwoot": {`create table contacts (id bigserial primary key, name varchar default '', email varchar, phone_number varchar, identifier varchar, account_id integer not null);
		create table conversations (id bigserial primary key, account_id integer not null, inbox_id integer not null, status integer not null default 0, contact_id bigint, display_id integer not null, uuid uuid not null default gen_random_uuid(),
			created_at timestamp not null, updated_at timestamp not null default now(), last_activity_at timestamp not null, cached_label_list text, additional_attributes jsonb default '{}', custom_attributes jsonb default '{}');
		create table messages (id bigserial primary key, content text, account_id integer not null, inbox_id integer not null, conversation_id integer not null, message_type integer not null, created_at timestamp not null, updated_at timestamp not null default '2025-11-19 08:00:09',
			private boolean not null default false, content_type integer not null default 0, content_attributes json default '{}', sender_type varchar, sender_id bigint);
		insert into contacts (name, email, phone_number, identifier, account_id) values ('Ann Lee', 'ann@example.org', '+4512345678', 'c-42', 1);
		insert into conversations (account_id, inbox_id, status, contact_id, display_id, created_at, last_activity_at, cached_label_list) values (1, 1, 1, 1, 17, '2025-11-19 08:00:00.123456', '2025-11-19 08:01:00', 'billing, refund'), (1, 1, 0, null, 18, '2025-11-19 09:00:00', '2025-11-19 09:01:00', null);
		insert into messages (content, account_id, inbox_id, conversation_id, message_type, created_at, private, sender_type) values ('hi', 1, 1, 1, 0, '2025-11-19 08:00:01', false, 'Contact'), ('hello', 1, 1, 1, 1, '2025-11-19 08:00:02.5', false, 'AgentBot'),
			('vip', 1, 1, 1, 1, '2025-11-19 08:00:03', true, 'User'), ('I am Bo', 1, 1, 1, 1, '2025-11-19 08:00:04', false, 'User'), ('Resolved by Bo', 1, 1, 1, 2, '2025-11-19 08:00:05', false, null);`,
		`17: 2025-11-19 08:00:00.123 to 2025-11-19 08:00:04.000
  external_id: c-42
  email: ann@example.org
  phone: +4512345678
  name: Ann Lee
  attribute labels: billing, refund
  2025-11-19 08:00:01.000 user text "hi"
  2025-11-19 08:00:02.500 bot markdown "hello"
  2025-11-19 08:00:04.000 agent markdown "I am Bo"

18: open

records 2, groups 0, transcripts 2
dropped activity: 1
dropped private note: 1
`},
}

// TestQueriesOfPresets runs each query on tables as the product makes them.
func TestQueriesOfPresets(t *testing.T) {
	t.Parallel()
	for _, p := range Presets() {
		if p.SQL == "" {
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			tables := productTables[p.Name]
			url := database(t, strings.ReplaceAll(tables.sql, `\\u`, `\u`))
			s, err := OpenPostgresMapped(t.Context(), PostgresConfig{URL: url, Query: p.SQL, Now: func() time.Time { return presetNow }, Logger: slog.New(slog.DiscardHandler)}, Mapping{Format: p.Name})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Close)
			for range 2 {
				if diff := gocmp.Diff(tables.want, chats(t, s)); diff != "" {
					t.Errorf("the transcripts (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestMappedQueriesThatFail(t *testing.T) {
	t.Parallel()
	url := database(t, "create table events (id int)")
	for query, want := range map[string]string{
		"select nope from events":                           "nope",
		"select * from events where id > @since":            "@since cannot be used",
		"select 1; select 2":                                "more than one statement",
		"select 1 / (id - id) from generate_series(1,3) id": "",
	} {
		s, err := OpenPostgresMapped(t.Context(), PostgresConfig{URL: url, Query: query}, Mapping{Transform: "."})
		if err == nil {
			t.Cleanup(s.Close)
			for _, readErr := range s.Read(t.Context(), time.Time{}) {
				err = readErr
			}
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", query, err)
		}
	}
}
