package engine

import (
	"context"
	"fmt"
	"io"
	"iter"

	"github.com/hibana-engine/hibana/rdd"
)

// ForEachBatch hands each batch's elements to f, on the active driver, in batch
// order. It runs at least once for a batch: after a failure it may run again,
// with the same Batch.Seq. The elements are sent to the driver, at most
// driver.maxResultSize bytes of them.
func ForEachBatch[T any](d *DStream[T], f func(b Batch, rows []T) error) {
	require(d.ssc, "forEachBatch", f != nil)
	collectOutput(d, "forEachBatch", -1, func(_ context.Context, b Batch, rows []T) error { return f(b, rows) }, f)
}

// Print prints the first n elements of each batch (10 for n <= 0) on the
// driver's standard output, under a line with the batch's time.
func (d *DStream[T]) Print(n int) {
	if n <= 0 {
		n = 10
	}
	ssc := d.ssc
	collectOutput(d, "print", n+1, func(_ context.Context, b Batch, rows []T) error { return printBatch(ssc.stdout, b, rows, n) })
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
func ForEachPartition[T any](d *DStream[T], f func(b Batch, tc *rdd.TaskContext, rows iter.Seq2[T, error]) error) {
	require(d.ssc, "forEachPartition", f != nil)
	AddOutput(d, "forEachPartition", f)
}

// AddOutput declares an output operation that runs f for each partition on
// executors, under an operator name of its own. It is what connectors make
// sinks of. functions are the functions of the user that f calls: with f they tell
// the output from others.
func AddOutput[T any](d *DStream[T], op string, f func(b Batch, tc *rdd.TaskContext, rows iter.Seq2[T, error]) error, functions ...any) {
	addOutput(d, op, func(g *generation) rdd.Action {
		b := g.batch
		return rdd.ForEachPartition(d.at(g), func(tc *rdd.TaskContext, rows iter.Seq2[T, error]) ([]byte, error) {
			return nil, f(b, tc, rows)
		})
	}, nil, append(functions, f)...)
}

// collectOutput declares an output that sends up to limit elements of each
// partition (all for limit < 0) to the driver and hands them to f there.
func collectOutput[T any](d *DStream[T], op string, limit int, f func(ctx context.Context, b Batch, rows []T) error, functions ...any) {
	codec, err := rdd.NewRows[T]()
	if err != nil {
		d.ssc.fail(op, err)
	}
	maxBytes := d.ssc.conf.maxResultSize
	addOutput(d, op,
		func(g *generation) rdd.Action { return codec.Collect(d.at(g), limit, maxBytes) },
		func(ctx context.Context, b Batch, results [][]byte) error {
			if err := checkResultSize(results, maxBytes); err != nil {
				return err
			}
			rows, err := codec.Decode(results)
			if err != nil {
				return err
			}
			return f(ctx, b, rows)
		}, functions...)
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

// addOutput appends an output to the graph.
func addOutput[T any](d *DStream[T], op string, action func(g *generation) rdd.Action, onDriver func(context.Context, Batch, [][]byte) error, functions ...any) {
	g, decl := d.ssc.graph, declared(op, functions...)
	if !g.open(op, decl.site) {
		return
	}
	g.outputs = append(g.outputs, &outputNode{
		declaration: decl, index: int32(len(g.outputs)), parent: d.asParent(), onDriver: onDriver,
		action: func(gen *generation) rdd.Action {
			a := action(gen)
			a.Op, a.Site, a.Functions = decl.op, decl.site, append(a.Functions, decl.symbols()...)
			return a
		},
	})
}
