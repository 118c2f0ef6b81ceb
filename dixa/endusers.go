package dixa

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// EndUser is a customer as Dixa knows them. What Dixa does not know is empty.
type EndUser struct {
	ID                     string   `json:"id"`
	CreatedAt              Time     `json:"createdAt"`
	DisplayName            string   `json:"displayName"`
	Email                  string   `json:"email"`
	PhoneNumber            string   `json:"phoneNumber"`
	AdditionalEmails       []string `json:"additionalEmails"`
	AdditionalPhoneNumbers []string `json:"additionalPhoneNumbers"`
	ExternalID             string   `json:"externalId"`
}

// NewEndUser is an end-user to be created. Every field is optional.
type NewEndUser struct {
	DisplayName            string   `json:"displayName,omitempty"`
	Email                  string   `json:"email,omitempty"`
	PhoneNumber            string   `json:"phoneNumber,omitempty"`
	AdditionalEmails       []string `json:"additionalEmails,omitempty"`
	AdditionalPhoneNumbers []string `json:"additionalPhoneNumbers,omitempty"`
	ExternalID             string   `json:"externalId,omitempty"`
}

// BulkResult is what became of one end-user of a bulk creation: Err is nil if it was created.
type BulkResult struct {
	EndUser EndUser
	Err     *APIError // its status is what a creation on its own would have been answered
}

// IdentifierKind is what an end-user is looked up by. Dixa takes one filter at a time.
type IdentifierKind string

// The identifiers of end-users, as the filters are called.
const (
	ByEmail      IdentifierKind = "email"
	ByPhone      IdentifierKind = "phone"
	ByExternalID IdentifierKind = "externalId"
)

// FindEndUsers returns the end-users that have the identifier, none if there is none.
func (c *Client) FindEndUsers(ctx context.Context, kind IdentifierKind, value string) ([]EndUser, error) {
	if value == "" || (kind != ByEmail && kind != ByPhone && kind != ByExternalID) {
		// An empty filter would list everybody.
		return nil, &unsentError{op: OpLookUpEndUser, err: fmt.Errorf("no %s to look for", kind)}
	}
	return collect(pages[EndUser](ctx, c, OpLookUpEndUser, "/endusers", url.Values{string(kind): {value}}))
}

// GetEndUser returns one end-user; an APIError with status 404 says that there is none.
func (c *Client) GetEndUser(ctx context.Context, id string) (EndUser, error) {
	if err := needID(OpGetEndUser, id); err != nil {
		return EndUser{}, err
	}
	return do(ctx, c, call[EndUser]{op: OpGetEndUser, method: http.MethodGet,
		url: c.url("/endusers/"+url.PathEscape(id), nil), read: readEndUser})
}

// ListEndUsers returns the whole directory, page by page, until the first error. The largest pageLimit is not documented;
// 0 leaves it to Dixa.
func (c *Client) ListEndUsers(ctx context.Context, pageLimit int) iter.Seq2[[]EndUser, error] {
	query := url.Values{}
	if pageLimit > 0 {
		query.Set("pageLimit", strconv.Itoa(pageLimit))
	}
	return pages[EndUser](ctx, c, OpListEndUsers, "/endusers", query)
}

// CreateEndUser creates an end-user. It is not idempotent: unless NotApplied, an error leaves open whether they exist.
//
// before, if it is not nil, is called right before every attempt leaves, and bounds when it may begin, as for
// ImportConversation.
func (c *Client) CreateEndUser(ctx context.Context, in NewEndUser,
	before func(ctx context.Context, attempt int, previous error) (notAfter time.Time, err error)) (EndUser, error) {
	return do(ctx, c, call[EndUser]{op: OpCreateEndUser, method: http.MethodPost,
		url: c.url("/endusers", nil), body: in, before: before, read: readEndUser})
}

// RenameEndUser gives an end-user another display name and leaves everything else as it is. It may be repeated. The vendor
// describes the operation under /beta only: an APIError with status 404 may say that it is not served.
func (c *Client) RenameEndUser(ctx context.Context, id, displayName string) (EndUser, error) {
	if err := needID(OpRenameEndUser, id); err != nil {
		return EndUser{}, err
	}
	return do(ctx, c, call[EndUser]{op: OpRenameEndUser, method: http.MethodPatch,
		url: c.url("/endusers/"+url.PathEscape(id), nil), body: NewEndUser{DisplayName: displayName}, read: readEndUser})
}

func readEndUser(body []byte) (EndUser, error) {
	u, err := readData[EndUser](body)
	if err == nil && u.ID == "" {
		err = errors.New("it has no end-user id")
	}
	return u, err
}

// CreateEndUsers creates end-users in one request and returns what became of each, in their order. The largest number is
// not documented. It is not idempotent, like CreateEndUser.
func (c *Client) CreateEndUsers(ctx context.Context, in []NewEndUser,
	before func(ctx context.Context, attempt int, previous error) (notAfter time.Time, err error)) ([]BulkResult, error) {
	if len(in) == 0 {
		return nil, nil
	}
	body := bulkUsers{in}
	return do(ctx, c, call[[]BulkResult]{op: OpCreateEndUsers, method: http.MethodPost,
		url: c.url("/endusers/bulk", nil), body: body, before: before,
		read: func(answer []byte) ([]BulkResult, error) { return readBulk(answer, len(in), body.private()) }})
}

// bulkUsers is the body of a bulk creation.
type bulkUsers struct {
	Data []NewEndUser `json:"data"`
}

// bulkEntry is one item's outcome: exactly one of its fields is there.
type bulkEntry struct {
	Data  *EndUser `json:"data"`
	Error *struct {
		Message string `json:"message"`
		Type    string `json:"_type"`
	} `json:"error"`
}

// bulkStatus is the status that stands for an error's _type. Others are refusals of the input, 400.
var bulkStatus = map[string]int{
	"NotFound": http.StatusNotFound, "Integrity": http.StatusConflict,
	"Infrastructure": http.StatusInternalServerError, "ErrorResponse": http.StatusInternalServerError,
}

func readBulk(body []byte, want int, said private) ([]BulkResult, error) {
	entries, err := readData[[]bulkEntry](body)
	if err != nil {
		return nil, err
	}
	if len(entries) != want {
		return nil, fmt.Errorf("it has %d entries for %d end-users", len(entries), want)
	}
	results := make([]BulkResult, want)
	for i, e := range entries {
		switch {
		case e.Error != nil:
			status, ok := bulkStatus[e.Error.Type]
			if !ok {
				status = http.StatusBadRequest
			}
			results[i].Err = newAPIError(OpCreateEndUsers, status, e.Error.Message, said)
		case e.Data != nil && e.Data.ID != "":
			results[i].EndUser = *e.Data
		default:
			return nil, fmt.Errorf("entry %d has neither an end-user id nor an error", i+1)
		}
	}
	return results, nil
}
