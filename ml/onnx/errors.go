package onnx

import (
	"errors"
	"fmt"
)

// Errors of this package, for errors.Is.
var (
	// ErrFormat says that the bytes are no ONNX file or a broken one.
	ErrFormat = errors.New("not a valid ONNX file")
	// ErrOpset says that the file's operator set is too old or too new.
	ErrOpset = errors.New("operator set not supported")
	// ErrOperator says that the graph has an operator that isn't known.
	ErrOperator = errors.New("operator not supported")
	// ErrUnsupported says that a known operator is used in a way that isn't known.
	ErrUnsupported = errors.New("not supported")
	// ErrInput says that the graph's input or output isn't of a kind that can be run.
	ErrInput = errors.New("input or output can't be used")
	// ErrTooLarge says that the graph exceeds a limit: of its arrays' elements, which
	// [MaxElements] sets, or one of this package's own, such as those of nodes, of a node's
	// names and of the steps of loops, which no option lifts.
	ErrTooLarge = errors.New("graph too large")
)

// beyond says that something exceeds [MaxElements].
func (im *importer) beyond(what string, args ...any) error {
	return fmt.Errorf("%w: %s exceeds onnx.MaxElements: %d of %d elements are left; raise it to read the file",
		ErrTooLarge, fmt.Sprintf(what, args...), max(0, im.left/im.rows), im.most)
}

// tooManyInts says that a node makes a longer list than one may.
func tooManyInts(n int) error {
	return fmt.Errorf("%w: a list of %d integers that are known when the file is read, the most is %d", ErrTooLarge, n, maxInts)
}
