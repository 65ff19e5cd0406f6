package receivers

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/url"
	"os"
	"path"
	"path/filepath"

	"github.com/hibana-engine/hibana/connectors/receivers/segments"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/role"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/files"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// Store takes records that were received, and returns when they are in the stream's log. While
// that is full it waits. If it returns an error, because ctx has ended or the disk failed, some or
// all of them may be there all the same: stored again they may come twice. It may keep no record.
type Store func(ctx context.Context, records ...[]byte) error

// Receiver receives records until ctx ends: it connects, and hands what comes to store, perhaps
// from several goroutines, for all of which it waits before it returns. It runs on an executor if
// several machines reach the log, else on the driver. When it returns an error, or panics, it is
// called again after a pause; when it returns nil, nothing more comes until there is another driver,
// which calls it again. The program's end waits 10 seconds for it, 35 on an executor, and an executor
// that is drained 2.
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
// An address of another form is an error of the program, which wraps [engine.ErrUsage].
func SocketTextStream(ssc *engine.StreamingContext, address string, opts ...Option) *engine.DStream[string] {
	op := fmt.Sprintf("receivers.SocketTextStream(%s)", address)
	if err := checkAddress(address); err != nil {
		ssc.Fail(op, err)
	}
	return declare(ssc, op, "socket-"+address, opts, func(o options) Receiver { return linesFrom(address, o) }, func(b []byte) string { return string(b) })
}

// errors of streams.
var (
	errNoDirectory = errors.New("with --checkpoint, and on a cluster, the records that are received must be there after a restart: give receivers.Directory(dir), on a cluster one that all machines reach")
	errName        = errors.New("the name can't be that of a directory below receivers.Directory: give another one")
	errTwice       = errors.New("another stream of the program has that name and directory: give each a name of its own, or another receivers.Directory")
	errNotShared   = errors.New("on a cluster all machines must reach the receivers.Directory, and nobody else may remove files there: give the URL of a bucket, or a directory that all of them have")
)

// declare declares a stream. functions are those of the user.
func declare[T any](ssc *engine.StreamingContext, op, name string, opts []Option, receiver func(options) Receiver, convert func([]byte) T, functions ...any) *engine.DStream[T] {
	o, err := optionsOf(opts)
	if err == nil && o.dir == "" && ssc.Durable() {
		err = errNoDirectory
	}
	if err != nil {
		ssc.Fail(op, err)
	}
	in := &input[T]{
		source:  source{op: op, options: o, receive: receiver(o), parallelism: max(1, ssc.DefaultParallelism()), logger: ssc.Logger()},
		site:    lineage.Caller(),
		convert: convert,
	}
	if o.dir != "" {
		in.at = o.at.Join(url.PathEscape(name))
		if err := claim(ssc, name, in.at.String()); err != nil {
			ssc.Fail(op, err)
		}
		in.shared = manyReach(o.dir)
		in.dir = filepath.Join(o.dir, url.PathEscape(name))
	}
	return engine.NewInput(ssc, op, in, functions...)
}

// manyReach reports whether several machines read and write a directory: one of a bucket, and on a
// cluster, where daemons start a driver, any.
func manyReach(dir string) bool { return !filepath.IsAbs(dir) || os.Getenv(role.Env) != "" }

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
	dir         string // of its log on this machine, "" for a temporary one
	shared      bool   // the log is one of several that all machines reach
	at          files.Address
	options     options
	receive     Receiver
	parallelism int
	logger      *slog.Logger
}

// input is the input of a stream.
type input[T any] struct {
	source
	site    lineage.Site
	convert func([]byte) T
}

// Open opens the log and, if that is on this machine, starts the receiver: else an executor does.
func (in *input[T]) Open(ctx context.Context) (engine.Planner, error) {
	if in.shared {
		return openShared(ctx, in.source)
	}
	return openPlanner(ctx, in.source)
}

// Generate makes a partition of each part of the log.
func (in *input[T]) Generate(encoded []byte) (int, func(*task.Context, int) iter.Seq2[T, error], error) {
	if isShared(encoded) {
		return in.generateShared(encoded)
	}
	r, err := decodeRanges(encoded)
	if err != nil {
		return 0, nil, err
	}
	dir := in.dir
	if r.dir != "" {
		dir = r.dir
	}
	return len(r.parts), func(tc *task.Context, p int) iter.Seq2[T, error] {
		return in.read(tc, segments.Read(dir, r.parts[p]))
	}, nil
}

// generateShared makes the partitions that the planner has dealt files to.
func (in *input[T]) generateShared(encoded []byte) (int, func(*task.Context, int) iter.Seq2[T, error], error) {
	r, err := decodeShared(encoded)
	if err != nil {
		return 0, nil, err
	}
	return len(r.Partitions), func(tc *task.Context, p int) iter.Seq2[T, error] {
		return in.read(tc, in.files(tc, r, r.Partitions[p]))
	}, nil
}

// files yields the records of files.
func (in *input[T]) files(tc *task.Context, r sharedRanges, parts []part) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		bucket, err := in.at.Open(tc)
		if err != nil {
			yield(nil, err)
			return
		}
		defer func() { _ = bucket.Close() }() // all that was wanted is read
		for _, p := range parts {
			for record, err := range segments.ReadFile(tc, bucket, path.Join(in.at.Key, r.Logs[p.log].Log), p.File) {
				if errors.Is(err, files.ErrMissing) {
					err = fmt.Errorf("%w: %w", errNotShared, err)
				}
				if !yield(record, err) || err != nil {
					return
				}
			}
		}
	}
}

// read yields what records become.
func (in *input[T]) read(tc *task.Context, from iter.Seq2[[]byte, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		var records, bytes int64
		defer func() { tc.Metrics.RecordsRead += records; tc.Metrics.BytesRead += bytes }()
		from(func(record []byte, err error) bool {
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

// Positions says how many records were read, of each log if they are shared.
func (in *input[T]) Positions(encoded []byte) ([]engine.Position, error) {
	if !isShared(encoded) {
		r, err := decodeRanges(encoded)
		return []engine.Position{{Source: in.op, Next: r.until.Record}}, err
	}
	r, err := decodeShared(encoded)
	var all []engine.Position
	for _, at := range r.Logs {
		all = append(all, engine.Position{Source: in.op + " " + at.Log, Next: at.Next})
	}
	return all, err
}
