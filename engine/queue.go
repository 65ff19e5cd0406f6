package engine

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/task"
)

// QueueStream declares a stream that yields one of the given batches at each
// tick (with --until-end one after the other), in the given number of partitions, at least 1, and nothing after the last:
// for trying a program out. Every process holds all batches, and must hold the
// same; they may not change afterwards.
func QueueStream[T any](ssc *StreamingContext, batches [][]T, partitions int) *DStream[T] {
	return NewInput(ssc, "queue", &queue[T]{batches, max(1, partitions)})
}

// queue is an input whose ranges are the number of a batch.
type queue[T any] struct {
	batches    [][]T
	partitions int
}

func (q *queue[T]) Open(context.Context) (Planner, error) {
	return &queuePlanner{last: uint64(max(1, len(q.batches))) - 1, sizes: func(i uint64) int64 {
		if i < uint64(len(q.batches)) {
			return int64(len(q.batches[i]))
		}
		return 0
	}}, nil
}

func (q *queue[T]) Generate(ranges []byte) (int, func(*task.Context, int) iter.Seq2[T, error], error) {
	i, n := binary.Uvarint(ranges)
	if n <= 0 {
		return 0, nil, fmt.Errorf("range % x is not a number", ranges)
	}
	var batch []T
	if i < uint64(len(q.batches)) {
		batch = q.batches[i]
	}
	return q.partitions, func(tc *task.Context, p int) iter.Seq2[T, error] {
		rows := rdd.Elements(tc, batch[p*len(batch)/q.partitions:(p+1)*len(batch)/q.partitions])
		return func(yield func(T, error) bool) {
			rows(func(v T, err error) bool {
				if err == nil {
					tc.Metrics.RecordsRead++
				}
				return yield(v, err)
			})
		}
	}, nil
}

// queuePlanner gives each batch the next number.
type queuePlanner struct {
	sizes func(i uint64) int64
	last  uint64 // number of the last batch
	whole bool   // the batches come one after the other, not at ticks
}

func (p *queuePlanner) Plan(_ context.Context, req PlanRequest) (Plan, error) {
	next := uint64(0)
	if req.Previous != nil {
		last, _ := binary.Uvarint(req.Previous)
		next = last + 1
	}
	share := Plan{Ranges: binary.AppendUvarint(nil, next), Records: p.sizes(next), Ended: next >= p.last}
	if p.whole && !share.Ended {
		share.Backlog = 1 // at least: another batch is there
	}
	return share, nil
}

// UntilEnd makes the batches come one after the other.
func (p *queuePlanner) UntilEnd(context.Context) error {
	p.whole = true
	return nil
}

func (p *queuePlanner) Completed(context.Context, []byte) error { return nil }

func (p *queuePlanner) Close() error { return nil }
