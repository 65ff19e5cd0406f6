package kafka

import (
	"fmt"

	"github.com/hibana-engine/hibana/connectors/kafka/ranges"
	"github.com/hibana-engine/hibana/engine"
)

// OffsetRange is what a batch reads of one partition: the offsets from From up to Until,
// which isn't among them. Where a stream is to begin beyond a partition's end ([AtOffsets]), From
// lies behind Until as long as that is awaited, and nothing is read.
type OffsetRange = ranges.Range

// RangesOf returns which offsets the batch b reads of d, a stream that [Direct] made or that is
// made of such ones, e.g. to keep them beside the batch's results (Spark's HasOffsetRanges):
// those of each topic partition of each Direct, in the order in which the program declares
// them. Of windows and states they are those of the batch alone. b is the batch that an
// output, Transform or PerBatch gives to a function of the program; after a restart it has
// the same ranges.
func RangesOf[T any](b engine.Batch, d *engine.DStream[T]) ([]OffsetRange, error) {
	var all []OffsetRange
	for _, in := range engine.InputRangesOf[offsets](b, d) {
		rs, err := in.Input.offsets(in.Ranges)
		if err != nil {
			return nil, fmt.Errorf("batch %d: %w", b.Seq, err)
		}
		all = append(all, rs...)
	}
	return all, nil
}

// offsets is an input of this package.
type offsets interface {
	offsets(encoded []byte) ([]OffsetRange, error)
}

// offsets decodes a batch's ranges.
func (d *direct[T]) offsets(encoded []byte) ([]OffsetRange, error) { return decodeRanges(encoded) }
