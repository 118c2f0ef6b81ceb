package sandbox

import (
	"fmt"
	"net/http"
	"time"
)

// Queue is a queue of the organisation.
type Queue struct {
	ID      string
	Name    string
	Default bool
	// Unavailable says that nobody takes its conversations at present; see SetAvailability.
	Unavailable bool
}

// DefaultQueues returns a default queue and another one.
func DefaultQueues() []Queue {
	return []Queue{
		{ID: "497d2cb4-6b48-4fa2-99d2-21c2a5bad79f", Name: "Support", Default: true},
		{ID: "921a6e00-0845-417e-9c67-f7cb872d45f0", Name: "Complaints"},
	}
}

// Webhook is a webhook subscription.
type Webhook struct {
	ID     string // default: made from its place in the list
	Name   string
	URL    string
	Events []string
	// Disabled subscriptions get nothing.
	Disabled bool
	// ExcludesImports says that the filters exclude OperationOrigin ApiImport.
	ExcludesImports bool
}

func (s *Server) listQueues(x *exchange) outcome {
	if _, refused, ok := s.query(x); !ok {
		return refused
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	data := make([]obj, len(s.opts.Queues))
	for i, q := range s.opts.Queues {
		data[i] = obj{
			"id": q.ID, "name": q.Name, "isDefault": q.Default, "organizationId": s.opts.OrganizationID,
			"queueThresholds": obj{"SlaPercentage": 10}, "slaCalculationMethod": "AbandonedIgnored", "offerTimeout": 10,
			"offeringAlgorithm": "OneAtATimeRandom", "memberListType": "SkillBased", "priority": i + 1,
			"doNotOfferTimeouts": obj{"WidgetChat": 1}, "isDoNotOfferEnabled": true, "isRestricted": false,
			"usages":        obj{"queueId": q.ID, "usages": obj{"Email": []string{"info@shop.example"}}},
			"wrapupTimeout": nil,
		}
	}
	return answer(http.StatusOK, obj{"data": data})
}

func (s *Server) getOrganization(x *exchange) outcome {
	if _, refused, ok := s.query(x); !ok {
		return refused
	}
	return answer(http.StatusOK, obj{"data": obj{
		"id": s.opts.OrganizationID, "name": "Sandbox", "subdomain": "sandbox", "status": "Active", "avatarUrl": nil,
	}})
}

func (s *Server) listWebhooks(x *exchange) outcome {
	if _, refused, ok := s.query(x); !ok {
		return refused
	}
	at := definedAt.Format(time.RFC3339)
	data := make([]obj, len(s.opts.Webhooks))
	for i, hook := range s.opts.Webhooks {
		id := hook.ID
		if id == "" {
			id = fmt.Sprintf("cb452b81-6748-40ab-af85-%012d", i+1)
		}
		data[i] = obj{
			"id": id, "name": hook.Name, "url": hook.URL, "subscribedEvents": append([]string{}, hook.Events...),
			"headers": obj{}, "secretKey": fmt.Sprintf("%064x", i+1), "enabled": !hook.Disabled,
			"createdAt": at, "createdBy": s.opts.AgentID, "updatedAt": at, "updatedBy": s.opts.AgentID,
		}
		if hook.ExcludesImports {
			data[i]["filters"] = obj{"Conversation": obj{"_type": "CombinedFilters", "strategy": "All", "conditions": []obj{
				{"_type": "IsOneOf", "field": "InitialChannel", "values": []string{"email", "generic_api_messaging"}},
				{"_type": "IsNotOneOf", "field": "OperationOrigin", "values": []string{"ApiImport"}},
			}}}
		} else if i%2 == 0 {
			data[i]["filters"] = obj{}
		}
	}
	return answer(http.StatusOK, obj{"data": data})
}
