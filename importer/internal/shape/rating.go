package shape

import (
	"dixa-import/dixa"
	"dixa-import/source"
)

// RatingTypes are Dixa's words for the types of ratings.
var RatingTypes = map[source.RatingType]dixa.RatingType{source.CSAT: dixa.CSAT, source.NPS: dixa.NPS, source.Thumbs: dixa.Thumbs}
