package remote

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler"
	"github.com/hibana-engine/hibana/scheduler/block"
	"github.com/hibana-engine/hibana/scheduler/shuffle"
)

// frames are a cached partition of frames, which can't be read to its end if the last is nil.
type frames [][]byte

var errUnreadable = errors.New("its file is damaged")

func (frames) Bytes() int64                                         { return 0 }
func (frames) Discard()                                             {}
func (f frames) Spill(func() (task.Run, error)) (task.Value, error) { return f, nil }

func (f frames) Send(send func([]byte) error) error {
	for _, b := range f {
		if b == nil {
			return errUnreadable
		}
		if err := send(b); err != nil {
			return err
		}
	}
	return nil
}

// cachedAt returns a reader of an epoch, of a partition that an executor is said to hold.
func cachedAt(t *testing.T, s security.Security, epoch uint64, executor string, b task.Block) *Partitions {
	t.Helper()
	f := NewFetcher(incarnation, "me@127.0.0.1:1", s)
	t.Cleanup(func() { _ = f.Close() })
	return f.Partitions(epoch, []scheduler.HeldBlocks{{Executor: executor, Blocks: []task.Block{b}}}, new(int64))
}

// fetch collects the frames of a partition.
func fetch(t *testing.T, p *Partitions, b task.Block) (all [][]byte, err error) {
	t.Helper()
	for frame, err := range p.Fetch(t.Context(), b, 0) {
		if err != nil {
			return all, err
		}
		all = append(all, frame)
	}
	return all, nil
}

// A partition that another executor keeps comes as it was sent, in frames of any size; one
// that isn't there, or can't be read to its end, is an error, as is an executor that isn't.
func TestFetchCached(t *testing.T) {
	held := task.Block{Batch: 7, DStream: 1, Ordinal: 2, Partition: 3}
	large := bytes.Repeat([]byte("0123456789"), 3*block.PieceSize/10)
	whole := frames{[]byte("first"), {}, large, []byte("last")}
	s := newSecret()
	h := &host{epoch: 1}
	x := start(t, "x", s, h)
	at := Name(x.ExecutorProcess)
	for name, c := range map[string]struct {
		kept  frames
		epoch uint64
		block task.Block
		want  frames
		err   error // part of what is wrong
	}{
		"whole":            {whole, 1, held, whole, nil},
		"empty":            {frames{}, 1, held, nil, nil},
		"another one":      {whole, 1, task.Block{Batch: 7}, nil, block.ErrNoBlock},
		"damaged":          {frames{[]byte("first"), nil}, 1, held, frames{[]byte("first")}, block.ErrNoBlock},
		"of another epoch": {whole, 2, held, nil, block.ErrNoBlock},
	} {
		h.mu.Lock()
		h.cached = func(b task.Block) task.Sendable {
			if b != held {
				return nil
			}
			return c.kept
		}
		h.mu.Unlock()
		p := cachedAt(t, s, c.epoch, at, c.block)
		got, err := fetch(t, p, c.block)
		if !slices.EqualFunc(got, c.want, bytes.Equal) {
			t.Errorf("%s: %d frames, %v; %d expected", name, len(got), err, len(c.want))
		}
		size := 0
		for _, b := range got {
			size += len(b)
		}
		if *p.remote != int64(size) {
			t.Errorf("%s: %d bytes are said to have come, %d did", name, *p.remote, size)
		}
		failed, is := errors.AsType[*task.NotFetchedError](err)
		if is != (c.err != nil) || is && (failed.Block != c.block || failed.Executor != at || !errors.Is(err, c.err)) {
			t.Errorf("%s: %v, want %v", name, err, c.err)
		}
	}
	p := cachedAt(t, s, 1, at, held)
	if p.Fetch(t.Context(), task.Block{Batch: 9}, 0) != nil || p.Fetch(t.Context(), held, 1) != nil {
		t.Error("nobody is known to keep it")
	}
	both := p.fetcher.Partitions(1, []scheduler.HeldBlocks{{Executor: "gone@127.0.0.1:1", Blocks: []task.Block{{Batch: 9}, held}}, {Executor: at, Blocks: []task.Block{held}}}, new(int64))
	h.mu.Lock()
	h.cached = func(task.Block) task.Sendable { return whole }
	h.mu.Unlock()
	count := 0
	for _, err := range both.Fetch(t.Context(), held, 1) {
		if err != nil {
			t.Errorf("the second that keeps it: %v", err)
		}
		count++
	}
	if count != len(whole) {
		t.Errorf("the second that keeps it sends %d frames", count)
	}
	x.stop()
	if _, err := fetch(t, p, held); !errors.Is(err, shuffle.ErrUnreachable) {
		t.Errorf("an executor that is gone: %v", err)
	}
}

// What is damaged on its way is an error; the task never sees it.
func TestDamagedCached(t *testing.T) {
	ten := []byte("0123456789")
	for name, blocks := range map[string][]*Block{
		"a flipped bit":       {{Data: []byte("0123456788"), Sum: block.Checksum(ten)}},
		"in the second piece": {{Data: ten, Sum: block.Checksum(ten), More: true}, {Data: ten, Sum: 1}},
		"without its end":     {{Data: ten, Sum: block.Checksum(ten), More: true}},
	} {
		s := newSecret()
		address := startShuffle(t, s, liar(func(_ *FetchBlocks, stream grpc.ServerStreamingServer[Block]) error {
			for _, b := range blocks {
				if err := stream.Send(b); err != nil {
					return err
				}
			}
			return nil
		}))
		got, err := fetch(t, cachedAt(t, s, 1, "x@"+address, task.Block{}), task.Block{})
		if len(got) > 0 || !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
