package dixa

import "context"

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
