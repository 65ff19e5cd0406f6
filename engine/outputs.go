package engine

import (
	"context"
	"fmt"
	"io"
	"iter"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/lineage"
)

// ForEachBatch hands each batch's elements to f, on the active driver, in batch
// order. It runs at least once for a batch: after a failure it may run again,
// with the same Batch.Seq. The elements are sent to the driver, at most
// driver.maxResultSize bytes of them.
func ForEachBatch[T any](d *DStream[T], f func(b Batch, rows []T) error) {
	require(d.ssc, "forEachBatch", f != nil)
	collectOutput(d, "forEachBatch", -1, func(_ context.Context, b Batch, rows []T) error { return f(b, rows) }, f)
}

// ForEachBatchContext is ForEachBatch for a function that waits or computes for long: ctx
// ends when the work must end, since the job has failed or is killed.
func ForEachBatchContext[T any](d *DStream[T], f func(ctx context.Context, b Batch, rows []T) error) {
	require(d.ssc, "forEachBatch", f != nil)
	collectOutput(d, "forEachBatch", -1, f, f)
}

// Print prints the first n elements of each batch (10 for n <= 0) on the
// driver's standard output, under a line with the batch's time.
func (d *DStream[T]) Print(n int) {
	if n <= 0 {
		n = 10
	}
	ssc := d.ssc
	collectOutput(d, "print", n+1, func(_ context.Context, b Batch, rows []T) error { return printBatch(ssc.program.Stdout, b, rows, n) })
}

// printBatch writes at most n rows and says whether there were more.
func printBatch[T any](w io.Writer, b Batch, rows []T, n int) error {
	out := fmt.Appendf(nil, "-------------------------------------------\nTime: %s  batch %d\n-------------------------------------------\n",
		b.Time.Format("2006-01-02 15:04:05.000"), b.Seq)
	for _, r := range rows[:min(n, len(rows))] {
		out = fmt.Appendln(out, r)
	}
	if len(rows) > n {
		out = append(out, "...\n"...)
	}
	_, err := w.Write(append(out, '\n'))
	return err
}

// ForEachPartition hands each partition's sequence to f, on executors, at least
// once; the attempts of one partition have the same Batch.Seq and partition.
// The sequence yields an error as its last element if the partition can't be
// read; f returns it.
func ForEachPartition[T any](d *DStream[T], f func(b Batch, p rdd.Part, rows iter.Seq2[T, error]) error) {
	require(d.ssc, "forEachPartition", f != nil)
	NewOutput(d, "forEachPartition", outputFunc[T](f), f)
}

// collectOutput declares an output that sends up to limit elements of each
// partition (all for limit < 0) to the driver and hands them to f there.
func collectOutput[T any](d *DStream[T], op string, limit int, f func(ctx context.Context, b Batch, rows []T) error, functions ...any) {
	codec, err := encoding.For[T]()
	if err != nil {
		d.ssc.fail(op, err)
	}
	maxBytes := d.ssc.program.Settings.MaxResultSize
	addOutput(d, op,
		func(g *plan.Generation) lineage.Action { return rdd.CollectAction(d.at(g), op, codec, limit, maxBytes) },
		plan.Output{OnDriver: func(ctx context.Context, a *plan.Allocation, results [][]byte) error {
			if err := checkResultSize(results, maxBytes); err != nil {
				return err
			}
			rows, err := rdd.DecodeRows(codec, results)
			if err != nil {
				return err
			}
			return f(ctx, batchOf(a), rows)
		}}, functions...)
}

// checkResultSize bounds what one output brings to the driver.
func checkResultSize(results [][]byte, limit int) error {
	size := 0
	for _, r := range results {
		size += len(r)
	}
	if size > limit {
		return fmt.Errorf("%w: %d bytes in all; raise driver.maxResultSize (now %d) or reduce on executors first", rdd.ErrResultTooLarge, size, limit)
	}
	return nil
}
