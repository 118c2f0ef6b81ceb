package dixa

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// RatingType is how an end-user rates.
type RatingType string

// The types of ratings.
const (
	CSAT   RatingType = "Csat"           // 1 to 5
	NPS    RatingType = "Nps"            // 0 to 10
	Thumbs RatingType = "ThumbsUpOrDown" // 0 or 1
)

// RatingOffer asks an end-user for a rating.
type RatingOffer struct {
	UserID    string     `json:"userId,omitempty"`
	AgentID   string     `json:"agentId,omitempty"` // whom it is about: one who did not take part skews the organisation's metrics
	Type      RatingType `json:"ratingType"`
	OfferedAt Time       `json:"offeredAt"`
}

func (RatingOffer) private() private { return nil }

// RatingResult is what an end-user answered.
type RatingResult struct {
	Type        RatingType
	Value       int
	Comment     string // "": none
	SubmittedAt Time
}

type ratingBody struct {
	Result struct {
		Value int        `json:"value"`
		Type  RatingType `json:"_type"`
	} `json:"ratingResult"`
	Comment     string `json:"comment,omitempty"`
	SubmittedAt Time   `json:"submittedAt"`
}

func (b ratingBody) private() private { return private{b.Comment} }

// Rating is a rating of a conversation. Those of one survey share an ID.
type Rating struct {
	ID      string
	Type    RatingType
	AgentID string
	Status  string // such as Offered or Rated
	// OfferedAt and SubmittedAt are the zero time if Dixa does not say them. They may be cut to the second. Once a rating that came over the
	// API is submitted, Dixa's example no longer has the time of its offer.
	OfferedAt, SubmittedAt Time
}

// Submitted reports whether the end-user has answered.
func (r Rating) Submitted() bool { return strings.EqualFold(r.Status, "Rated") }

// UnmarshalJSON reads a rating. Only its ID and its type are necessary.
func (r *Rating) UnmarshalJSON(data []byte) error {
	var wire struct {
		ID         string          `json:"id"`
		Type       RatingType      `json:"ratingType"`
		AgentID    json.RawMessage `json:"agentId"`
		Status     json.RawMessage `json:"ratingStatus"`
		Timestamps json.RawMessage `json:"timestamps"`
	}
	if err := json.Unmarshal(data, &wire); err != nil {
		return err
	}
	times := readField[map[string]json.RawMessage](wire.Timestamps)
	*r = Rating{wire.ID, wire.Type, readField[string](wire.AgentID), readField[string](wire.Status), readField[Time](times["offered_at"]), readField[Time](times["rated_at"])}
	return nil
}

// OfferRating offers a rating and returns its id. It is not known to be idempotent. For before, see ImportConversation.
func (c *Client) OfferRating(ctx context.Context, conversationID int64, offer RatingOffer, before Before) (id string, err error) {
	return do(ctx, c, call[string]{op: OpOfferRating, method: http.MethodPost, url: c.url(conversationPath(conversationID)+"/ratings/offer", nil),
		body: offer, before: before, read: func(body []byte) (string, error) {
			made, err := readData[struct {
				ID string `json:"id"`
			}](body)
			if err == nil && made.ID == "" {
				err = errors.New("it has no id of a rating")
			}
			return made.ID, err
		}})
}

// SubmitRating records the answer to an offered rating.
func (c *Client) SubmitRating(ctx context.Context, conversationID int64, ratingID string, result RatingResult, before Before) error {
	if err := needID(OpSubmitRating, ratingID); err != nil {
		return err
	}
	body := ratingBody{Comment: result.Comment, SubmittedAt: result.SubmittedAt}
	body.Result.Value, body.Result.Type = result.Value, result.Type
	return change(ctx, c, OpSubmitRating, http.MethodPost, conversationPath(conversationID)+"/ratings/"+url.PathEscape(ratingID)+"/submit", body, before)
}

// ListRatings returns the ratings of a conversation, offered ones too.
func (c *Client) ListRatings(ctx context.Context, conversationID int64) ([]Rating, error) {
	return collect(pages[Rating](ctx, c, OpListRatings, conversationPath(conversationID)+"/ratings", nil))
}
