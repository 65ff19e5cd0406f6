package vision

import "errors"

// Errors of this package, for errors.Is.
var (
	// ErrImage: bytes aren't a whole JPEG or PNG image.
	ErrImage = errors.New("not a JPEG or PNG image that can be read")
	// ErrTooLarge: an image has more pixels, or more scans, than are allowed.
	ErrTooLarge = errors.New("image too large")
	// ErrSize: an image, a row or an input hasn't the size that it must have.
	ErrSize = errors.New("wrong size")
	// ErrOutput: what a network gave isn't what the head reads.
	ErrOutput = errors.New("output doesn't fit the head")
)
