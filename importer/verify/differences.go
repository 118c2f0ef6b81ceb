package verify

import "dixa-import/importer/internal/shape"

// Difference is one thing in which a conversation is not what was imported.
type Difference = shape.Difference

// DifferenceKind sorts the differences.
type DifferenceKind = shape.DifferenceKind

// DifferenceKinds are all kinds, in the order in which they are shown.
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
	DiffMessageMissing = shape.DiffMessageMissing
	DiffMessageExtra   = shape.DiffMessageExtra
	DiffOrder          = shape.DiffOrder
	DiffText           = shape.DiffText
	DiffAuthor         = shape.DiffAuthor
	DiffTime           = shape.DiffTime
	DiffAttachment     = shape.DiffAttachment
)
