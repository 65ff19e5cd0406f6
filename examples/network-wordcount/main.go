// Network-wordcount counts the words that a server sends over a socket, as Spark's example does.
//
//	nc -lk 9999                                                # and type
//	go run ./examples/network-wordcount --address localhost:9999
package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/hibana-engine/hibana/connectors/receivers"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
)

// options are the program's flags.
type options struct {
	address   string
	directory string
	sentences int
	rate      float64
}

func main() {
	app := engine.NewApp("network-wordcount")
	app.Example("network-wordcount --address localhost:9999")
	var opt options
	f := app.Flags()
	f.StringVar(&opt.address, "address", "", "HOST:PORT of the server whose lines are counted; empty: sentences are made up")
	f.StringVar(&opt.directory, "directory", "", "where lines are kept until they are counted, for --checkpoint; on a cluster all machines reach it")
	f.IntVar(&opt.sentences, "sentences", 2000, "sentences that are made up; 0 until stopped")
	f.Float64Var(&opt.rate, "rate", 200, "of these, sentences per second")
	app.Stream(time.Second, func(ssc *engine.StreamingContext) error { return declare(ssc, opt) })
}

// declare declares the program.
func declare(ssc *engine.StreamingContext, opt options) error {
	switch {
	case !(opt.rate > 0):
		return fmt.Errorf("%w: --rate %g is not above 0", engine.ErrUsage, opt.rate)
	case opt.sentences < 0:
		return fmt.Errorf("%w: --sentences %d is below 0", engine.ErrUsage, opt.sentences)
	case opt.directory == "" && ssc.Durable():
		return fmt.Errorf("%w: with --checkpoint, and on a cluster, --directory names where lines are kept until they are counted; on a cluster all machines must reach it", engine.ErrUsage)
	}
	counts(lines(ssc, opt)).Print(5)
	return nil
}

// lines returns the stream of the lines that are counted.
func lines(ssc *engine.StreamingContext, opt options) *engine.DStream[string] {
	var opts []receivers.Option
	if opt.directory != "" {
		opts = append(opts, receivers.Directory(opt.directory))
	}
	if opt.address != "" {
		return receivers.SocketTextStream(ssc, opt.address, opts...)
	}
	made := receivers.Stream(ssc, "sentences", func(ctx context.Context, store receivers.Store) error {
		return makeUp(ctx, opt, store) // on a cluster an executor does
	}, opts...)
	if opt.sentences > 0 {
		stopAfter(ssc, made, int64(opt.sentences))
	}
	return engine.Map(made, func(line []byte) string { return string(line) })
}

// stopAfter stops the program when so many lines were processed. An output counts them, since that
// is what the driver runs: the receiver, which an executor may, can't stop the program.
func stopAfter(ssc *engine.StreamingContext, lines *engine.DStream[[]byte], left int64) {
	engine.ForEachBatch(engine.Count(lines), func(_ engine.Batch, n []int64) error {
		if left -= n[0]; left <= 0 {
			ssc.Stop()
		}
		return nil
	})
}

// count is how often a word came.
type count struct {
	Word  string
	Times int64
}

// String returns the count for people.
func (c count) String() string { return fmt.Sprintf("%6d  %s", c.Times, c.Word) }

// counts counts the words of each batch, the most frequent first.
func counts(lines *engine.DStream[string]) *engine.DStream[count] {
	words := engine.FlatMap(lines, strings.Fields)
	return engine.Transform(engine.CountByValue(words), func(_ engine.Batch, r *rdd.RDD[rdd.Pair[string, int64]]) *rdd.RDD[count] {
		all := rdd.Map(r, func(p rdd.Pair[string, int64]) count { return count{p.Key, p.Value} })
		return rdd.SortBy(all, func(c count) int64 { return c.Times }, rdd.Descending(), rdd.Partitions(1))
	})
}

// makeUp is a receiver that receives sentences from nowhere, at the rate that is asked for.
func makeUp(ctx context.Context, opt options, store receivers.Store) error {
	words := strings.Fields("the cat sat on the mat and the dog on the log while a frog hopped over the bog")
	random := rand.New(rand.NewPCG(1, 2))
	next := time.NewTicker(max(time.Microsecond, time.Duration(float64(time.Second)/opt.rate)))
	defer next.Stop()
	for i := 0; opt.sentences == 0 || i < opt.sentences; i++ {
		select {
		case <-next.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		var sentence []string
		for range 5 {
			sentence = append(sentence, words[random.IntN(len(words))])
		}
		if err := store(ctx, []byte(strings.Join(sentence, " "))); err != nil {
			return err
		}
	}
	return nil
}
