package sandbox

import (
	"net/http"
	"slices"
	"strings"
)

// Operation names an operation of the API.
type Operation string

// The operations.
const (
	FindEndUsers      Operation = "find_end_users"     // GET /v1/endusers with email, phone or externalId
	ListEndUsers      Operation = "list_end_users"     // GET /v1/endusers
	CreateEndUser     Operation = "create_end_user"    // POST /v1/endusers
	CreateEndUsers    Operation = "create_end_users"   // POST /v1/endusers/bulk
	GetEndUser        Operation = "get_end_user"       // GET /v1/endusers/{userId}
	PatchEndUser      Operation = "patch_end_user"     // PATCH /v1/endusers/{userId}
	ListConversations Operation = "list_conversations" // GET /v1/endusers/{userId}/conversations
	GetConversation   Operation = "get_conversation"   // GET /v1/conversations/{conversationId}
	ListMessages      Operation = "list_messages"      // GET /v1/conversations/{conversationId}/messages
	Import            Operation = "import"             // POST /v1/conversations/import
	PatchAttributes   Operation = "patch_attributes"   // PATCH /v1/conversations/{conversationId}/custom-attributes
	ListAttributes    Operation = "list_attributes"    // GET /v1/custom-attributes
	ListQueues        Operation = "list_queues"        // GET /v1/queues
	GetOrganization   Operation = "get_organization"   // GET /v1/organization
	ListWebhooks      Operation = "list_webhooks"      // GET /v1/webhooks
	GetAvailability   Operation = "get_availability"   // GET /v1/queues/{queueId}/availability
	Transfer          Operation = "transfer"           // PUT /v1/conversations/{conversationId}/transfer/queue
	Reopen            Operation = "reopen"             // PUT /v1/conversations/{conversationId}/reopen
	ListTags          Operation = "list_tags"          // GET /v1/tags
	CreateTag         Operation = "create_tag"         // POST /v1/tags
	AddTag            Operation = "add_tag"            // PUT /v1/conversations/{conversationId}/tags/{tagId}
	OfferRating       Operation = "offer_rating"       // POST /v1/conversations/{conversationId}/ratings/offer
	SubmitRating      Operation = "submit_rating"      // POST /v1/conversations/{conversationId}/ratings/{ratingId}/submit
	ListRatings       Operation = "list_ratings"       // GET /v1/conversations/{conversationId}/ratings
	CreateNotes       Operation = "create_notes"       // POST /v1/conversations/{conversationId}/notes/bulk
	ListNotes         Operation = "list_notes"         // GET /v1/conversations/{conversationId}/notes
	LinkConversation  Operation = "link"               // PUT /v1/conversations/{conversationId}/link

	ListConversationTags Operation = "list_conversation_tags" // GET /v1/conversations/{conversationId}/tags
	ListLinked           Operation = "list_linked"            // GET /v1/conversations/{conversationId}/linked
	CreateWebhook        Operation = "create_webhook"         // POST /v1/webhooks
	GetWebhook           Operation = "get_webhook"            // GET /v1/webhooks/{webhookSubscriptionId}
	DeleteWebhook        Operation = "delete_webhook"         // DELETE /v1/webhooks/{webhookSubscriptionId}
	DeliveryStatus       Operation = "delivery_status"        // GET /v1/webhooks/{webhookSubscriptionId}/delivery-status
	ListDeliveries       Operation = "list_deliveries"        // GET /v1/webhooks/{webhookSubscriptionId}/delivery-status/logs/{event}

	AnonymizeConversation Operation = "anonymize_conversation" // PATCH /v1/conversations/{conversationId}/anonymize
	AnonymizeEndUser      Operation = "anonymize_end_user"     // PATCH /v1/endusers/{userId}/anonymize
	GetAnonymization      Operation = "get_anonymization"      // GET /v1/anonymization/request/{requestId}

	ExportConversations Operation = "export_conversations" // GET /v1/conversation_export of the Exports API
	ExportMessages      Operation = "export_messages"      // GET /v1/message_export of the Exports API

	// Unknown is every other request: answered 404, and a violation.
	Unknown Operation = "unknown"
)

// Valid reports whether there is such an operation; Unknown is none.
func (op Operation) Valid() bool { _, ok := handlers[op]; return ok }

var handlers = map[Operation]func(*Server, *exchange) outcome{
	FindEndUsers:      (*Server).listEndUsers,
	ListEndUsers:      (*Server).listEndUsers,
	CreateEndUser:     (*Server).createEndUser,
	CreateEndUsers:    (*Server).createEndUsers,
	GetEndUser:        (*Server).getEndUser,
	PatchEndUser:      (*Server).patchEndUser,
	ListConversations: (*Server).listConversations,
	GetConversation:   (*Server).getConversation,
	ListMessages:      (*Server).listMessages,
	Import:            (*Server).importConversation,
	PatchAttributes:   (*Server).patchAttributes,
	ListAttributes:    (*Server).listAttributes,
	ListQueues:        (*Server).listQueues,
	GetOrganization:   (*Server).getOrganization,
	ListWebhooks:      (*Server).listWebhooks,
	GetAvailability:   (*Server).getAvailability,
	Transfer:          (*Server).transfer,
	Reopen:            (*Server).reopen,
	ListTags:          (*Server).listTags,
	CreateTag:         (*Server).createTag,
	AddTag:            (*Server).addTag,
	OfferRating:       (*Server).offerRating,
	SubmitRating:      (*Server).submitRating,
	ListRatings:       (*Server).listRatings,
	CreateNotes:       (*Server).createNotes,
	ListNotes:         (*Server).listNotes,
	LinkConversation:  (*Server).linkConversation,

	ListConversationTags: (*Server).listConversationTags,
	ListLinked:           (*Server).listLinked,
	CreateWebhook:        (*Server).createWebhook,
	GetWebhook:           (*Server).getWebhook,
	DeleteWebhook:        (*Server).deleteWebhook,
	DeliveryStatus:       (*Server).deliveryStatus,
	ListDeliveries:       (*Server).listDeliveries,

	AnonymizeConversation: (*Server).anonymizeConversation,
	AnonymizeEndUser:      (*Server).anonymizeEndUser,
	GetAnonymization:      (*Server).getAnonymization,

	ExportConversations: (*Server).exportConversations,
	ExportMessages:      (*Server).exportMessages,
}

// route finds the operation of a request and its path parameter. For a second one, see exchange.parameter.
func route(r *http.Request) (op Operation, id string) {
	switch r.Method + " " + r.URL.Path {
	case "GET " + ExportsPrefix + "/v1/conversation_export":
		return ExportConversations, ""
	case "GET " + ExportsPrefix + "/v1/message_export":
		return ExportMessages, ""
	}
	parts := strings.Split(r.URL.Path, "/")
	if len(parts) < 3 || parts[0] != "" || parts[1] != "v1" {
		return Unknown, ""
	}
	if len(parts) > 3 {
		id = parts[3]
	}
	shape := r.Method + " " + strings.TrimPrefix(pattern(r.URL.Path), "/v1/")
	switch shape {
	case "GET endusers":
		if hasFilter(r) {
			return FindEndUsers, ""
		}
		return ListEndUsers, ""
	case "POST endusers":
		return CreateEndUser, ""
	case "POST endusers/bulk":
		return CreateEndUsers, ""
	case "GET endusers/{}":
		return GetEndUser, id
	case "PATCH endusers/{}":
		return PatchEndUser, id
	case "GET endusers/{}/conversations":
		return ListConversations, id
	case "POST conversations/import":
		return Import, ""
	case "GET conversations/{}":
		return GetConversation, id
	case "GET conversations/{}/messages":
		return ListMessages, id
	case "PATCH conversations/{}/custom-attributes":
		return PatchAttributes, id
	case "GET custom-attributes":
		return ListAttributes, ""
	case "GET queues":
		return ListQueues, ""
	case "GET organization":
		return GetOrganization, ""
	case "GET webhooks":
		return ListWebhooks, ""
	case "GET tags":
		return ListTags, ""
	case "POST tags":
		return CreateTag, ""
	case "GET queues/{}/availability":
		return GetAvailability, id
	case "PUT conversations/{}/transfer/queue":
		return Transfer, id
	case "PUT conversations/{}/reopen":
		return Reopen, id
	case "PUT conversations/{}/tags/{}":
		return AddTag, id
	case "POST conversations/{}/ratings/offer":
		return OfferRating, id
	case "POST conversations/{}/ratings/{}/submit":
		return SubmitRating, id
	case "GET conversations/{}/ratings":
		return ListRatings, id
	case "POST conversations/{}/notes/bulk":
		return CreateNotes, id
	case "GET conversations/{}/notes":
		return ListNotes, id
	case "PUT conversations/{}/link":
		return LinkConversation, id
	case "GET conversations/{}/tags":
		return ListConversationTags, id
	case "GET conversations/{}/linked":
		return ListLinked, id
	case "POST webhooks":
		return CreateWebhook, ""
	case "GET webhooks/{}":
		return GetWebhook, id
	case "DELETE webhooks/{}":
		return DeleteWebhook, id
	case "GET webhooks/{}/delivery-status":
		return DeliveryStatus, id
	case "GET webhooks/{}/delivery-status/logs/{}":
		return ListDeliveries, id
	case "PATCH conversations/{}/anonymize":
		return AnonymizeConversation, id
	case "PATCH endusers/{}/anonymize":
		return AnonymizeEndUser, id
	case "GET anonymization/request/{}":
		return GetAnonymization, ""
	}
	return Unknown, ""
}

// withIDs are the resources whose names are followed by an id.
var withIDs = []string{"endusers", "conversations", "queues", "webhooks"}

// pattern returns a path with its parameters as {}.
func pattern(path string) string {
	parts := strings.Split(path, "/")
	if len(parts) > 3 && slices.Contains(withIDs, parts[2]) && parts[3] != "bulk" && parts[3] != "import" {
		parts[3] = "{}"
	}
	if len(parts) > 4 && parts[2] == "anonymization" && parts[3] == "request" {
		parts[4] = "{}"
	}
	if len(parts) > 6 && parts[2] == "webhooks" && parts[5] == "logs" {
		parts[6] = "{}"
	}
	if len(parts) > 5 && (parts[4] == "tags" || parts[4] == "ratings") && parts[5] != "offer" {
		parts[5] = "{}"
	}
	return strings.Join(parts, "/")
}

// plainPath returns the beginning of a path with whatever does not look like the name of a resource as {}.
func plainPath(path string) string {
	parts := strings.Split(path, "/")
	if len(parts) > 6 {
		parts = append(parts[:6], "...")
	}
	for i, part := range parts {
		if strings.Trim(part, "abcdefghijklmnopqrstuvwxyz-") != "" && part != "v1" && part != "..." || len(part) > 30 {
			parts[i] = "{}"
		}
	}
	return strings.Join(parts, "/")
}

func hasFilter(r *http.Request) bool {
	q := r.URL.Query()
	return q.Has("email") || q.Has("phone") || q.Has("externalId")
}
