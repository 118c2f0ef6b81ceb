package sandbox

import "net/http"

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
