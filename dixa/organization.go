package dixa

import (
	"context"
	"errors"
	"net/http"
)

// Organization is the organisation that the token belongs to.
type Organization struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Subdomain string `json:"subdomain"`
	Status    string `json:"status"` // Active or Suspended
}

// GetOrganization returns the organisation that the token belongs to. Whether a bot's token may ask is not documented.
func (c *Client) GetOrganization(ctx context.Context) (Organization, error) {
	return do(ctx, c, call[Organization]{op: OpGetOrganization, method: http.MethodGet, url: c.url("/organization", nil),
		read: func(body []byte) (Organization, error) {
			org, err := readData[Organization](body)
			if err == nil && org.ID == "" {
				err = errors.New("it has no organisation id")
			}
			return org, err
		}})
}
