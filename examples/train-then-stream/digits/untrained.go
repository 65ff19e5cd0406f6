package digits

import (
	"bytes"

	"github.com/hibana-engine/hibana/ml/serializers"
)

// Untrained returns the weights that training begins with, as a file. They are the same in
// every process.
func Untrained() ([]byte, error) {
	var b bytes.Buffer
	if err := serializers.WriteNPZ(&b, Network()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
