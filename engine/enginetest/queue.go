package enginetest

import "github.com/hibana-engine/hibana/engine"

// Queue is engine.QueueStream.
func Queue[T any](ssc *engine.StreamingContext, batches [][]T, partitions int) *engine.DStream[T] {
	return engine.QueueStream(ssc, batches, partitions)
}
