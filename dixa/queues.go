package dixa

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// Queue is a queue that conversations wait in.
type Queue struct {
	ID             string `json:"id"`
	Name           string `json:"name"`
	IsDefault      bool   `json:"isDefault"`
	OrganizationID string `json:"organizationId"`
}

// ListQueues returns the queues of the organisation.
func (c *Client) ListQueues(ctx context.Context) ([]Queue, error) {
	return collect(pages[Queue](ctx, c, OpListQueues, "/queues", nil))
}

// Availability says whether somebody may take conversations of a queue.
type Availability struct {
	Available bool
	QueueSize int64 // how many conversations wait; 0 if Dixa does not say
}

// QueueAvailability returns the availability of a queue for imported chats. Dixa answers item by item for each of its channels; an answer without
// ours is an error.
func (c *Client) QueueAvailability(ctx context.Context, queueID string) (Availability, error) {
	if err := needID(OpAvailability, queueID); err != nil {
		return Availability{}, err
	}
	return do(ctx, c, call[Availability]{op: OpAvailability, method: http.MethodGet,
		url: c.url("/queues/"+url.PathEscape(queueID)+"/availability", nil), read: readAvailability})
}

func readAvailability(body []byte) (Availability, error) {
	channels, err := readData[[]struct {
		Channel *struct {
			Name         string          `json:"genericChannelName"`
			Availability string          `json:"availability"`
			QueueSize    json.RawMessage `json:"queueSize"`
		} `json:"channelAvailability"`
	}](body)
	if err != nil {
		return Availability{}, err
	}
	for _, entry := range channels {
		if entry.Channel == nil || !strings.EqualFold(entry.Channel.Name, ChannelName) {
			continue
		}
		switch entry.Channel.Availability {
		case "Available", "NotAvailable":
			return Availability{entry.Channel.Availability == "Available", readField[int64](entry.Channel.QueueSize)}, nil
		}
	}
	return Availability{}, errors.New("it does not say whether the queue is available for " + ChannelName)
}

// TransferToQueue puts a conversation into a queue. It is not repeated by itself: a conversation that an agent has taken meanwhile would be taken
// from that agent. For before, see ImportConversation.
func (c *Client) TransferToQueue(ctx context.Context, conversationID int64, queueID string, before Before) error {
	return change(ctx, c, OpTransfer, http.MethodPut, conversationPath(conversationID)+"/transfer/queue", transferBody{queueID}, before)
}

type transferBody struct {
	QueueID string `json:"queueId"`
}

func (transferBody) private() private { return nil }

// ReopenConversation puts a closed conversation back into the queue that it was in, or into the default queue. It is not repeated by itself: what an
// open conversation would suffer is not documented. For before, see ImportConversation.
func (c *Client) ReopenConversation(ctx context.Context, conversationID int64, before Before) error {
	return change(ctx, c, OpReopen, http.MethodPut, conversationPath(conversationID)+"/reopen", reopenBody{}, before)
}

type reopenBody struct{}

func (reopenBody) private() private { return nil }
