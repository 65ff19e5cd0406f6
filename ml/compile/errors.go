package compile

import (
	"errors"
	"fmt"

	"github.com/hibana-engine/hibana/ml/nn"
)

// Errors of this package, for errors.Is.
var (
	// ErrWeights says that a weight is a NaN or an infinity.
	ErrWeights = errors.New("weights hold a NaN or an infinity")
	// ErrForward says that a forward pass can't be compiled for inference.
	ErrForward = errors.New("forward pass can't be compiled")
	// ErrRows says that Run was given the wrong amount of data.
	ErrRows = errors.New("wrong amount of data")
)

// stepError says which call of the forward pass is to blame.
func stepError(op nn.Op, site string, err error) error {
	if site == "" {
		return fmt.Errorf("%s: %w", op.Name(), err)
	}
	return fmt.Errorf("%s: %s: %w", site, op.Name(), err)
}
