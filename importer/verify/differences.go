package verify

import "dixa-import/importer/internal/shape"

// Difference is one way in which a conversation differs from what was imported.
type Difference = shape.Difference

// DifferenceKind classifies the differences.
type DifferenceKind = shape.DifferenceKind

// DifferenceKinds lists all kinds in display order.
var DifferenceKinds = shape.DifferenceKinds

// The kinds of differences.
const (
	DiffGone           = shape.DiffGone
	DiffUnreadable     = shape.DiffUnreadable
	DiffContentChanged = shape.DiffContentChanged
	DiffNotClosed      = shape.DiffNotClosed
	DiffAssignment     = shape.DiffAssignment
	DiffRequester      = shape.DiffRequester
	DiffDouble         = shape.DiffDouble
	DiffNotRecorded    = shape.DiffNotRecorded
	DiffDirection      = shape.DiffDirection
	DiffAttribute      = shape.DiffAttribute
	DiffTag            = shape.DiffTag
	DiffRating         = shape.DiffRating
	DiffNote           = shape.DiffNote
	DiffTransfer       = shape.DiffTransfer
	DiffLink           = shape.DiffLink
	DiffMessageMissing = shape.DiffMessageMissing
	DiffMessageExtra   = shape.DiffMessageExtra
	DiffOrder          = shape.DiffOrder
	DiffText           = shape.DiffText
	DiffAuthor         = shape.DiffAuthor
	DiffTime           = shape.DiffTime
	DiffAttachment     = shape.DiffAttachment
)
