package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestServe(t *testing.T) {
	t.Parallel()
	defaults := Serve{Address: "127.0.0.1:8080", Keep: 720 * time.Hour}
	for _, tt := range []struct {
		name, text string
		want       Serve
		problem    string
	}{
		{"defaults", "", defaults, ""},
		{"the example's form", "serve: {address: , webhook_secrets: [], forward_url: , forward_secret: , keep: 30d}", defaults, ""},
		{"all", "serve:\n  address: ':9000'\n  token: ${TOKEN}\n  webhook_secrets: [\"${SECRET}\", ffeeddccbbaa99887766554433221100]\n  forward_url: http://bot/dixa\n  forward_secret: ${FORWARD}\n  keep: 36h\n",
			Serve{Address: ":9000", Token: "whispered", WebhookSecrets: []string{"00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100"},
				ForwardURL: "http://bot/dixa", ForwardSecret: "whsec_MDEyMzQ1Njc4OWFiY2RlZg==", Keep: 36 * time.Hour}, ""},
		{"address", "serve: {address: localhost}", Serve{}, "c.yaml:1: serve.address: must be a host and a port"},
		{"port", "serve: {address: 'localhost:http'}", Serve{}, "c.yaml:1: serve.address: must be a host and a port"},
		{"a secret that is none", "serve: {webhook_secrets: [\"${SECRET}\", \"${TOKEN}\"]}", Serve{}, "c.yaml:1: serve.webhook_secrets[1]: is not a key in hexadecimal digits"},
		{"an empty secret", "serve: {webhook_secrets: ['']}", Serve{}, "serve.webhook_secrets[0]: is empty"},
		{"a secret that is not set", "serve: {webhook_secrets: [\"${NOT_SET}\"]}", Serve{}, "serve.webhook_secrets[0]: the environment variable NOT_SET"},
		{"address of the bot", "serve: {forward_url: bot/whispered, forward_secret: \"${FORWARD}\"}", Serve{}, "serve.forward_url: must begin with https://"},
		{"no forward_secret", "serve: {forward_url: 'https://bot'}", Serve{}, "serve.forward_secret: is empty"},
		{"forward_secret", "serve: {forward_url: 'https://bot', forward_secret: \"${TOKEN}\"}", Serve{}, "serve.forward_secret: is not whsec_"},
		{"keep", "serve: {keep: forever}", Serve{}, "serve.keep: must be a duration of at least 1h, such as 30d"},
		{"keep too short", "serve: {keep: 0d}", Serve{}, "serve.keep: must be a duration of at least 1h, such as 30d"},
	} {
		c, err := load(t, tt.text, environment("TOKEN", "whispered", "SECRET", "00112233445566778899aabbccddeeff", "FORWARD", "whsec_MDEyMzQ1Njc4OWFiY2RlZg=="))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		got, err := c.Serve()
		if tt.problem != "" {
			if err == nil || !strings.Contains(err.Error(), tt.problem) || strings.Contains(err.Error(), "whispered") {
				t.Errorf("%s: %v, want %s", tt.name, err, tt.problem)
			}
			continue
		}
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", tt.name, err, diff)
		}
	}
	example, err := Load("../../../../config.example.yaml", environment())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := example.Serve(); err != nil || cmp.Diff(defaults, got) != "" {
		t.Errorf("the example has %+v, %v", got, err)
	}
}
