package dixa

import (
	"testing"
)

func TestOrganizationAndQueues(t *testing.T) {
	t.Parallel()
	c, _ := answering(t, 200, `{"data":{"id":"o","name":"Acme","subdomain":"acme","status":"Active","avatarUrl":null}}`)
	if got, err := c.GetOrganization(t.Context()); err != nil || got != (Organization{"o", "Acme", "acme", "Active"}) {
		t.Errorf("%+v %v", got, err)
	}
	c, _ = answering(t, 200, `{"data":{"name":"Acme"}}`)
	if _, err := c.GetOrganization(t.Context()); err == nil {
		t.Error("an organisation without an id was accepted")
	}
	c, _ = answering(t, 200, `{"data":[{"id":"q","name":"Main","isDefault":true,"organizationId":"o","usages":{}}],"meta":null}`)
	if got, err := c.ListQueues(t.Context()); err != nil || len(got) != 1 || got[0] != (Queue{"q", "Main", true, "o"}) {
		t.Errorf("%+v %v", got, err)
	}
}
