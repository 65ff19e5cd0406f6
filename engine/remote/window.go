package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/scheduler/shuffle"
)

// Bounds of what a task fetches ahead. A stream holds up to blocksAhead blocks
// here and what gRPC's window has in flight.
const (
	sourcesAhead = 8
	blocksAhead  = 2
)

// window is the fetching of one reduce partition: a source for each executor
// that has a share of it, in the order in which they are first needed. The next
// few have streams open.
//
// THREADING: the task's goroutine owns the window. Each open source has a
// goroutine that receives; close waits for them.
type window struct {
	ctx     context.Context // ends with close
	cancel  context.CancelFunc
	fetcher *Fetcher
	epoch   uint64 // of the driver whose task reads
	outs    *shuffle.Outputs
	reduce  int
	sources []*source
	of      map[string]int // place in sources by executor
	opened  int
	work    sync.WaitGroup
}

// source is one executor's share.
type source struct {
	executor string
	maps     []MapBlock // ascending; those that are still to be asked for
	taken    int        // blocks of the first of them that the task was given
	fetched  chan fetched
}

// fetched is a block on its way to the task, or the last word of a source.
type fetched struct {
	m    int32
	data []byte
	err  error
	lost bool // the executor can't be reached or has nothing
}

func newWindow(ctx context.Context, f *Fetcher, epoch uint64, outs *shuffle.Outputs, reduce int) *window {
	w := &window{fetcher: f, epoch: epoch, outs: outs, reduce: reduce, of: make(map[string]int)}
	w.ctx, w.cancel = context.WithCancel(ctx)
	for m := range outs.Maps {
		out := &outs.Maps[m]
		if out.Executor == f.self || reduce < 0 || reduce >= len(out.Bytes) || out.Bytes[reduce] == 0 {
			continue
		}
		if _, here := out.Carried(reduce); here {
			continue
		}
		i, known := w.of[out.Executor]
		if !known {
			i = len(w.sources)
			w.of[out.Executor] = i
			w.sources = append(w.sources, &source{executor: out.Executor, fetched: make(chan fetched, blocksAhead)})
		}
		w.sources[i].maps = append(w.sources[i].maps, MapBlock{Map: int32(m), Attempt: out.Attempt})
	}
	w.openUntil(sourcesAhead)
	return w
}

// openUntil opens the sources before the given place.
func (w *window) openUntil(n int) {
	for ; w.opened < min(n, len(w.sources)); w.opened++ {
		s := w.sources[w.opened]
		w.work.Go(func() { w.fetch(s) })
	}
}

// next returns the next block of a map partition. lost says that the executor
// can't give any.
func (w *window) next(m int) (b []byte, lost bool, err error) {
	i := w.of[w.outs.Maps[m].Executor]
	w.openUntil(i + sourcesAhead)
	select {
	case f := <-w.sources[i].fetched:
		if f.err == nil && int(f.m) != m {
			f.err = fmt.Errorf("%w: a block of map task %d came in place of one of %d", ErrCorrupt, f.m, m)
		}
		return f.data, f.lost, f.err
	case <-w.ctx.Done():
		return nil, false, context.Cause(w.ctx)
	}
}

// close ends the streams and waits for their goroutines.
func (w *window) close() {
	w.cancel()
	w.work.Wait()
}

// maxTries is how often a source is asked for what goes wrong on its way. What is gone or
// damaged where it lies isn't asked for again, nor is who said nothing for long.
const maxTries = 2

// fetch receives a source's blocks.
func (w *window) fetch(s *source) {
	var err error
	for range maxTries {
		err = w.stream(s)
		if _, again := errors.AsType[*transitError](err); !again || w.ctx.Err() != nil {
			break
		}
	}
	var failure *missingError
	last := fetched{err: err, lost: true}
	if errors.As(err, &failure) {
		last.lost = false
	}
	w.deliver(s, last)
}

// missingError says that one map task's output isn't there, or is damaged; the
// rest may be fine.
type missingError struct{ err error }

func (e *missingError) Error() string { return e.err.Error() }
func (e *missingError) Unwrap() error { return e.err }

// transitError says that something went wrong on the way: what is asked for may come
// whole when it is asked for again.
type transitError struct{ err error }

func (e *transitError) Error() string { return e.err.Error() }
func (e *transitError) Unwrap() error { return e.err }

// took notes that the task was given a block, so that it isn't given it again.
func (s *source) took(m int32) {
	for s.maps[0].Map != m && len(s.maps) > 1 {
		s.maps, s.taken = s.maps[1:], 0
	}
	s.taken++
}

// deliver hands something to the task. It reports false if the task is gone.
func (w *window) deliver(s *source, f fetched) bool {
	select {
	case s.fetched <- f:
		return true
	case <-w.ctx.Done():
		return false
	}
}

// stream receives a source's blocks until it fails; that all came is an error
// too, for a task that asks for more.
func (w *window) stream(s *source) error {
	in, err := w.fetcher.open(w.ctx, s.executor, func(ctx context.Context, c ShuffleClient) (grpc.ServerStreamingClient[Block], error) {
		return c.Fetch(ctx, &FetchBlocks{
			Incarnation: w.fetcher.incarnation, Epoch: w.epoch,
			Batch: w.outs.Batch, Shuffle: w.outs.Shuffle, Reduce: int32(w.reduce), Maps: s.maps,
		})
	})
	if err != nil {
		return err
	}
	defer in.close()
	var whole []byte // pieces so far of a block that comes in several
	again, skip := s.maps[0].Map, s.taken
	for {
		b, err := in.next()
		switch {
		case errors.Is(err, io.EOF):
			return &missingError{fmt.Errorf("%w: there is less than was announced", ErrCorrupt)}
		case err != nil:
			return err
		case b.Missing != "":
			return &missingError{fmt.Errorf("%w: %s", shuffle.ErrNoOutput, b.Missing)}
		}
		if b.Data, err = b.unpack(); err != nil {
			return &missingError{fmt.Errorf("%w: a block of map task %d: %w", ErrCorrupt, b.Map, &transitError{err})}
		}
		if whole == nil && b.More {
			whole = make([]byte, 0, w.announced(b.Map))
		}
		if whole != nil {
			if len(whole)+len(b.Data) > cap(whole) {
				return &missingError{fmt.Errorf("%w: a block of map task %d is longer than announced", ErrCorrupt, b.Map)}
			}
			whole = append(whole, b.Data...)
			if b.More {
				continue
			}
			b.Data, whole = whole, nil
		}
		if skip > 0 && b.Map == again {
			skip--
			continue
		}
		s.took(b.Map)
		if !w.deliver(s, fetched{m: b.Map, data: b.Data}) {
			return w.ctx.Err()
		}
	}
}

// announced returns the size of a map task's share.
func (w *window) announced(m int32) int64 {
	if m < 0 || int(m) >= len(w.outs.Maps) {
		return 0
	}
	return w.outs.Maps[m].Bytes[w.reduce]
}
