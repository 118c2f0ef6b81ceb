package config

import (
	"os"
	"path/filepath"
	"testing"
)

// TestEnvironmentIsUnwrapped reads what an environment file leaves around values.
func TestEnvironmentIsUnwrapped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "c.yaml")
	if err := os.WriteFile(file, []byte("database: ${D}\ndixa: {token: \"${T}\", base_url: \"${B}\", agent_id: \"${A}\"}\nsource: {name: \"${N}\", time_zone: \"${Z}\", jsonl: {paths: [a]}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const agent = "7d1f3c52-1f0c-4b52-9c0e-5a4f2f6f9b10"
	c, err := Load(file, environment("D", "\"sqlite:bot.db\"\n", "T", "'abc.def.ghi'\r\n", "B", "\"http://127.0.0.1:1/\" ", "A", agent+"\n", "N", "'bot'\n", "Z", "\"Europe/Copenhagen\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	database, err := c.DatabaseURL()
	api, apiErr := c.Dixa()
	s, sourceErr := c.Source()
	if err != nil || apiErr != nil || sourceErr != nil {
		t.Fatal(err, apiErr, sourceErr)
	}
	if database != "sqlite:bot.db" || api.Token != "abc.def.ghi" || api.BaseURL != "http://127.0.0.1:1" || api.AgentID != agent || s.Name != "bot" || s.TimeZone.String() != "Europe/Copenhagen" {
		t.Errorf("got %q, %+v, %+v", database, api, s)
	}
	if c, err = Load(file, environment("D", "\"\"\n")); err != nil {
		t.Fatal(err)
	}
	if database, err := c.DatabaseURL(); err != nil || database != defaultDatabase {
		t.Errorf("an empty one: %q, %v", database, err)
	}
}
