package receivers

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"

	"github.com/hibana-engine/hibana/connectors/receivers/segments"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/role"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// Store takes records that were received, and returns when they are in the stream's log. While
// that is full it waits. Its error says that they aren't there: that ctx has ended, or that
// the disk failed. It may keep no record.
type Store func(ctx context.Context, records ...[]byte) error

// Receiver receives records until ctx ends, on the driver: it connects, and hands what comes to
// store, perhaps from several goroutines, for all of which it waits before it returns. When it
// returns an error, or panics, it is called again after a pause; when it returns nil, nothing
// more comes. The program's end waits 10 seconds for it.
type Receiver func(ctx context.Context, store Store) error

// Stream declares a stream of what a function receives (Spark's receiverStream). The name tells
// the stream from others.
func Stream(ssc *engine.StreamingContext, name string, receive Receiver, opts ...Option) *engine.DStream[[]byte] {
	op := fmt.Sprintf("receivers.Stream(%s)", name)
	if receive == nil {
		ssc.Fail(op, rdd.ErrNilFunction)
	}
	return declare(ssc, op, name, opts, func(options) Receiver { return receive }, func(b []byte) []byte { return b }, receive)
}

// SocketTextStream declares a stream of the lines that a TCP server at HOST:PORT sends, without
// their ends, \n or \r\n. A line that isn't ended when the server closes the connection is
// one, too; one that is cut off by an error is left out. A connection that ends is made anew.
func SocketTextStream(ssc *engine.StreamingContext, address string, opts ...Option) *engine.DStream[string] {
	op := fmt.Sprintf("receivers.SocketTextStream(%s)", address)
	return declare(ssc, op, "socket-"+address, opts, func(o options) Receiver { return linesFrom(address, o) }, func(b []byte) string { return string(b) })
}

// errors of streams.
var (
	errNoDirectory = errors.New("with --checkpoint the records that are received must be there after a restart: give receivers.Directory(dir)")
	errName        = errors.New("the name can't be that of a directory below receivers.Directory: give another one")
	errTwice       = errors.New("another stream of the program has that name and directory: give each a name of its own, or another receivers.Directory")
	errCluster     = errors.New("receivers run on one machine, and aren't there on a cluster yet: run the program in local mode, or have what it receives written to Kafka and read it with kafka.Direct")
)

// declare declares a stream. functions are those of the user.
func declare[T any](ssc *engine.StreamingContext, op, name string, opts []Option, receiver func(options) Receiver, convert func([]byte) T, functions ...any) *engine.DStream[T] {
	o, err := optionsOf(opts)
	if err == nil && o.dir == "" && ssc.Durable() && os.Getenv(role.Env) == "" {
		err = errNoDirectory
	}
	if err != nil {
		ssc.Fail(op, err)
	}
	in := &input[T]{
		source:  source{op: op, options: o, receive: receiver(o), parallelism: max(1, ssc.DefaultParallelism()), log: ssc.Logger()},
		site:    lineage.Caller(),
		convert: convert,
	}
	if o.dir != "" {
		in.dir = filepath.Join(o.dir, url.PathEscape(name))
		if err := claim(ssc, name, in.dir); err != nil {
			ssc.Fail(op, err)
		}
	}
	return engine.NewInput(ssc, op, in, functions...)
}

// claimed is the key of the directories of logs that a program's streams have.
type claimed struct{}

// claim makes a directory the log of the stream of a name.
func claim(ssc *engine.StreamingContext, name, dir string) error {
	if name == "" || name == "." || name == ".." {
		return fmt.Errorf("%q: %w", name, errName)
	}
	dirs := ssc.Shared(claimed{}, func() any { return make(map[string]bool) }).(map[string]bool)
	if dirs[dir] {
		return fmt.Errorf("%q: %w", name, errTwice)
	}
	dirs[dir] = true
	return nil
}

// source is where a stream's records come from.
type source struct {
	op          string // the stream's name
	dir         string // of its log, "" for a temporary one
	options     options
	receive     Receiver
	parallelism int
	log         *slog.Logger
}

// input is the input of a stream.
type input[T any] struct {
	source
	site    lineage.Site
	convert func([]byte) T
}

// Open opens the log and starts the receiver.
func (in *input[T]) Open(ctx context.Context) (engine.Planner, error) {
	if os.Getenv(role.Env) != "" { // a driver that a daemon has started
		return nil, errCluster
	}
	return openPlanner(ctx, in.source)
}

// Generate makes a partition of each part of the log.
func (in *input[T]) Generate(encoded []byte) (int, func(*task.Context, int) iter.Seq2[T, error], error) {
	r, err := decodeRanges(encoded)
	if err != nil {
		return 0, nil, err
	}
	dir := in.dir
	if r.dir != "" {
		dir = r.dir
	}
	return len(r.parts), func(tc *task.Context, p int) iter.Seq2[T, error] { return in.read(tc, dir, r.parts[p]) }, nil
}

// read yields the records of a part of the log.
func (in *input[T]) read(tc *task.Context, dir string, p segments.Part) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		var records, bytes int64
		defer func() { tc.Metrics.RecordsRead += records; tc.Metrics.BytesRead += bytes }()
		segments.Read(dir, p)(func(record []byte, err error) bool {
			if err != nil {
				yield(none, &rdd.OpError{Op: in.op, Site: in.site, Err: err})
				return false
			}
			if tc.Killed() {
				yield(none, context.Cause(tc))
				return false
			}
			records++
			bytes += int64(len(record))
			return yield(in.convert(record), nil)
		})
	}
}

// Positions says how many records were read.
func (in *input[T]) Positions(encoded []byte) ([]engine.Position, error) {
	r, err := decodeRanges(encoded)
	return []engine.Position{{Source: in.op, Next: r.until.Record}}, err
}
