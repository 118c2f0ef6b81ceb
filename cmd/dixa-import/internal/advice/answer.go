package advice

import (
	"errors"
	"fmt"
	"net/http"

	"dixa-import/dixa"
)

// OnAnswer adds to an answer of Dixa, or to the lack of one, what can be done about it.
func OnAnswer(err error) error {
	if lost, ok := errors.AsType[*dixa.TransportError](err); ok && !lost.Written {
		return fmt.Errorf("%w: correct dixa.base_url, or see what keeps this machine from reaching it", err)
	}
	var api *dixa.APIError
	if !errors.As(err, &api) {
		return err
	}
	switch api.Status {
	case http.StatusUnauthorized:
		return fmt.Errorf("%w: the token is wrong or was revoked, put a valid one into dixa.token", err)
	case http.StatusForbidden:
		return fmt.Errorf("%w: the token may not read this, use one with more rights or look in Dixa's settings", err)
	}
	return err
}
