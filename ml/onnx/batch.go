package onnx

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/hibana-engine/hibana/ml/nn"
)

// inRows explains the error of node i where the node is valid for the file's batch
// and only a batch of other rows, such as the one that a model works on, is what it
// doesn't fit. A file with an open batch is taken to be made for more than one row.
func (im *importer) inRows(f *File, o options, i int, err error) error {
	batch, is := im.fileBatch, fmt.Sprintf("the file's batch of %d is read %s at a time", im.fileBatch, aFew(im.rows))
	if batch == 0 {
		batch, is = 2, fmt.Sprintf("the file is read %s at a time", aFew(im.rows))
	}
	if batch <= int64(im.rows) || errors.Is(err, ErrTooLarge) || errors.Is(err, ErrOperator) {
		return err
	}
	again := newImporter(f, o, int(min(batch, math.MaxInt32)), im.arrays)
	again.left = min(again.left, min(o.maxElements, math.MaxInt/2)*2) // what reading for two rows may take
	if _, other := again.nodes(f, o, i+1); other != nil && !errors.Is(other, ErrTooLarge) {
		return err
	}
	return fmt.Errorf("%w: %s, which this node doesn't fit (%s); let it work on any number of rows and export the file with an open batch, or for a batch of 1", ErrUnsupported, is, reason(err))
}

// aFew writes a number of rows at a time.
func aFew(rows int) string {
	if rows == 1 {
		return "a row"
	}
	return rowCount(rows)
}

// reason is what an error says beside that the file or its shapes are at fault.
func reason(err error) string {
	text := err.Error()
	for _, is := range []error{ErrFormat, ErrUnsupported, nn.ErrShape} {
		text = strings.TrimPrefix(text, is.Error()+": ")
	}
	return text
}
