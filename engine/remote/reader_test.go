package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/wire"
	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler/block"
	"github.com/hibana-engine/hibana/scheduler/shuffle"
)

// holder starts an executor that has blocks of epoch 1.
func holder(t *testing.T, id string, s security.Security) *executor {
	t.Helper()
	h := &host{epoch: 1, store: shuffle.NewStore(block.NewStore(1<<30, t.TempDir()))}
	return start(t, id, s, h)
}

// write leaves the blocks of a map task of shuffle 0, batch 1, for one reduce
// partition of two and returns its output.
func (x *executor) write(t *testing.T, m int32, blocks ...[]byte) shuffle.Output {
	t.Helper()
	w := x.host.store.Writer(t.Context(), shuffle.MapID{Batch: 1, Map: m}, 2)
	for _, b := range blocks {
		if err := w.WriteBlock(1, b); err != nil {
			t.Fatal(err)
		}
	}
	sizes, err := w.Commit()
	if err != nil {
		t.Fatal(err)
	}
	return shuffle.Output{Executor: Name(x.ExecutorProcess), Bytes: sizes}
}

// reader returns a reader of a process that has no blocks of its own.
func reader(t *testing.T, s security.Security, outs *shuffle.Outputs) *Reader {
	t.Helper()
	f := NewFetcher(incarnation, "me@127.0.0.1:1", s)
	t.Cleanup(func() { _ = f.Close() })
	return f.Reader(1, []*shuffle.Outputs{outs}, shuffle.NewStore(block.NewStore(1<<20, t.TempDir())), new(int64))
}

// read collects the blocks of reduce partition 1.
func read(ctx context.Context, r *Reader) (all []byte, err error) {
	for b, err := range r.Blocks(ctx, 1, 0, 1) {
		if err != nil {
			return all, err
		}
		all = append(all, b...)
	}
	return all, nil
}

// Blocks of many map tasks on several executors, some larger than a message,
// some empty, come in the order of the map tasks.
func TestFetch(t *testing.T) {
	s := newSecret()
	rng := rand.New(rand.NewPCG(1, 1))
	var holders []*executor
	for i := range 11 { // more than are open at once
		holders = append(holders, holder(t, fmt.Sprint(i), s))
	}
	outs := &shuffle.Outputs{Batch: 1}
	var want []byte
	r := reader(t, s, outs)
	r.fetcher.self = Name(holders[0].ExecutorProcess) // whose blocks are read in place
	r.store = holders[0].host.store
	local := 0
	for m := range int32(60) {
		x := holders[rng.IntN(len(holders))]
		var blocks [][]byte
		for range rng.IntN(4) {
			b := make([]byte, rng.IntN(100))
			if rng.IntN(10) == 0 {
				b = make([]byte, wire.ChunkSize*2+rng.IntN(3))
			}
			for i := range b {
				b[i] = byte(rng.Uint32())
			}
			blocks, want = append(blocks, b), append(want, b...)
			if x == holders[0] {
				local += len(b)
			}
		}
		outs.Maps = append(outs.Maps, x.write(t, m, blocks...))
	}
	for range 2 { // the second time over the same connections
		*r.remote = 0
		got, err := read(t.Context(), r)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, %v; %d were written", len(got), err, len(want))
		}
		if *r.remote != int64(len(want)-local) {
			t.Errorf("%d bytes came from elsewhere, not %d", *r.remote, len(want)-local)
		}
	}
	for range r.Blocks(t.Context(), 1, 0, 1) {
		break // a task that has enough
	}
}

// failure returns the FetchFailedError of a reading.
func failure(t *testing.T, r *Reader) *task.FetchFailedError {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := read(ctx, r)
	f, ok := errors.AsType[*task.FetchFailedError](err)
	if !ok {
		t.Fatalf("reading ended with %v", err)
	}
	return f
}

// Output that isn't there names the map task; an executor that isn't there, all
// that it had.
func TestFetchFails(t *testing.T) {
	s := newSecret()
	x := holder(t, "x", s)
	good := x.write(t, 0, []byte("good"))
	missing := good
	missing.Attempt = 7
	f := failure(t, reader(t, s, &shuffle.Outputs{Batch: 1, Maps: []shuffle.Output{good, missing}}))
	if f.MapPartition != 1 || f.Executor != good.Executor || !errors.Is(f, shuffle.ErrNoOutput) {
		t.Errorf("missing: %v", f)
	}
	narrow := good
	narrow.Bytes = []int64{4}
	f = failure(t, reader(t, s, &shuffle.Outputs{Batch: 1, Maps: []shuffle.Output{narrow}}))
	if f.MapPartition != 0 || !errors.Is(f, shuffle.ErrNoOutput) {
		t.Errorf("no such reduce partition: %v", f)
	}
	r := reader(t, s, &shuffle.Outputs{Batch: 1, Maps: []shuffle.Output{good}})
	r.epoch = 2 // of a driver that the executor hasn't seen
	if f := failure(t, r); f.MapPartition != -1 || !errors.Is(f, shuffle.ErrUnreachable) {
		t.Errorf("another epoch: %v", f)
	}
	f = failure(t, reader(t, newSecret(), &shuffle.Outputs{Batch: 1, Maps: []shuffle.Output{good}}))
	if f.MapPartition != -1 || !errors.Is(f, shuffle.ErrUnreachable) {
		t.Errorf("wrong secret: %v", f)
	}
	x.stop()
	f = failure(t, reader(t, s, &shuffle.Outputs{Batch: 1, Maps: []shuffle.Output{good}}))
	if f.MapPartition != -1 || f.Executor != good.Executor || !errors.Is(f, shuffle.ErrUnreachable) {
		t.Errorf("unreachable: %v", f)
	}
	if _, err := read(t.Context(), reader(t, s, &shuffle.Outputs{Batch: 2})); err == nil || !strings.Contains(err.Error(), "wasn't given its map outputs") {
		t.Errorf("another batch: %v", err)
	}
}

// Blocks that came with the description of an output are read without its executor, and
// count as what came from there.
func TestSmallOutputs(t *testing.T) {
	s := newSecret()
	x := holder(t, "x", s)
	outs := &shuffle.Outputs{Batch: 1, Maps: []shuffle.Output{
		{Executor: "gone@127.0.0.1:1", Bytes: []int64{1, 3}, Small: []byte("-abc")}, x.write(t, 1, []byte("def")),
	}}
	r := reader(t, s, outs)
	got, err := read(t.Context(), r)
	if err != nil || string(got) != "abcdef" || *r.remote != 6 {
		t.Errorf("%q, %v; %d bytes came from elsewhere", got, err, *r.remote)
	}
}

// A reading ends with its task.
func TestFetchIsCancelled(t *testing.T) {
	s := newSecret()
	x := holder(t, "x", s)
	outs := &shuffle.Outputs{Batch: 1, Maps: []shuffle.Output{x.write(t, 0, []byte("a")), x.write(t, 1, []byte("b"))}}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	killed := errors.New("killed")
	var last error
	for _, err := range reader(t, s, outs).Blocks(ctx, 1, 0, 1) {
		cancel(killed)
		last = err
	}
	if _, is := errors.AsType[*task.FetchFailedError](last); is || !errors.Is(last, killed) {
		t.Errorf("it ended with %v", last)
	}
}

// liar is a Shuffle service that sends what it was made of.
type liar func(req *FetchBlocks, stream grpc.ServerStreamingServer[Block]) error

func (l liar) Fetch(req *FetchBlocks, stream grpc.ServerStreamingServer[Block]) error {
	return l(req, stream)
}

func (l liar) FetchCached(_ *FetchPartition, stream grpc.ServerStreamingServer[Block]) error {
	return l(nil, stream)
}

// lies starts a liar and returns a reader of one map task's ten bytes there.
func lies(t *testing.T, l liar) *Reader {
	t.Helper()
	s := newSecret()
	address := startShuffle(t, s, l)
	return reader(t, s, &shuffle.Outputs{Batch: 1, Maps: []shuffle.Output{{Executor: "liar@" + address, Bytes: []int64{0, 10}}}})
}

// What comes differs from what was announced or changed on its way: the map task
// is computed anew, the task never sees the bytes.
func TestDamagedBlocks(t *testing.T) {
	ten := []byte("0123456789")
	for name, blocks := range map[string][]*Block{
		"a flipped bit":       {{Data: []byte("0123456788"), Sum: block.Checksum(ten)}},
		"in the second piece": {{Data: ten[:5], Sum: block.Checksum(ten[:5]), More: true}, {Data: ten[5:], Sum: 1}},
		"less":                {{Data: ten[:5], Sum: block.Checksum(ten[:5])}},
		"nothing":             {},
		"more":                {{Data: append(ten, 'x'), Sum: block.Checksum(append(ten, 'x'))}},
		"more, in pieces":     {{Data: ten, Sum: block.Checksum(ten), More: true}, {Data: ten, Sum: block.Checksum(ten), More: true}},
		"another map task's":  {{Map: 1, Data: ten, Sum: block.Checksum(ten)}},
		"pieces of another's": {{Map: 9, Data: ten, Sum: block.Checksum(ten), More: true}},
	} {
		r := lies(t, func(_ *FetchBlocks, stream grpc.ServerStreamingServer[Block]) error {
			for _, b := range blocks {
				if err := stream.Send(b); err != nil {
					return err
				}
			}
			return nil
		})
		if f := failure(t, r); f.MapPartition != 0 || !errors.Is(f, ErrCorrupt) {
			t.Errorf("%s: %v", name, f)
		}
	}
}

// What is damaged on its way, or breaks off, is asked for once more, from where it was
// whole: the task sees each byte once.
func TestFetchedAgain(t *testing.T) {
	s := newSecret()
	of := func(m int32, data string) *Block {
		return &Block{Map: m, Data: []byte(data), Sum: block.Checksum([]byte(data))}
	}
	flipped := of(1, "cd")
	flipped.Data[0] ^= 1
	broken := status.Error(codes.Unavailable, "the connection broke")
	for name, first := range map[string]struct {
		blocks []*Block
		err    error
	}{
		"damaged at first":   {[]*Block{{Data: []byte("x"), Sum: 1}}, nil},
		"damaged later":      {[]*Block{of(0, "01"), of(0, "23"), of(1, "ab"), flipped}, nil},
		"broken":             {[]*Block{of(0, "01"), of(0, "23"), of(1, "ab")}, broken},
		"broken in a block":  {[]*Block{of(0, "01"), {Data: []byte("2"), Sum: block.Checksum([]byte("2")), More: true}}, broken},
		"broken at the end":  {[]*Block{of(0, "01"), of(0, "23"), of(1, "ab"), of(1, "cd")}, broken},
		"broken before more": {[]*Block{of(0, "01"), of(0, "23")}, broken},
	} {
		var asked atomic.Int32
		address := startShuffle(t, s, liar(func(req *FetchBlocks, stream grpc.ServerStreamingServer[Block]) error {
			blocks, err := first.blocks, first.err
			if asked.Add(1) > 1 {
				blocks, err = nil, nil
				for _, m := range req.Maps {
					blocks = append(blocks, map[int32][]*Block{0: {of(0, "01"), of(0, "23")}, 1: {of(1, "ab"), of(1, "cd")}}[m.Map]...)
				}
			}
			for _, b := range blocks {
				if err := stream.Send(b); err != nil {
					return err
				}
			}
			return err
		}))
		at := shuffle.Output{Executor: "x@" + address, Bytes: []int64{0, 4}}
		r := reader(t, s, &shuffle.Outputs{Batch: 1, Maps: []shuffle.Output{at, at}})
		if got, err := read(t.Context(), r); err != nil || string(got) != "0123abcd" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if *r.remote != 8 {
			t.Errorf("%s: %d bytes came from elsewhere", name, *r.remote)
		}
	}
}

// An executor that hangs in the middle of sending is given up.
func TestFetchStalls(t *testing.T) {
	r := lies(t, func(_ *FetchBlocks, stream grpc.ServerStreamingServer[Block]) error {
		if err := stream.Send(&Block{Data: []byte("01234"), Sum: block.Checksum([]byte("01234"))}); err != nil {
			return err
		}
		<-stream.Context().Done()
		return nil
	})
	r.fetcher.silence = 300 * time.Millisecond
	if f := failure(t, r); f.MapPartition != -1 || !errors.Is(f, shuffle.ErrUnreachable) || !strings.Contains(f.Error(), "has said nothing") {
		t.Error(f)
	}
}

// A task that reads slowly holds the sender back: what is in flight is bounded.
func TestFlowControl(t *testing.T) {
	const total = 48 << 20
	piece := make([]byte, wire.ChunkSize)
	var sent atomic.Int64
	blocked := make(chan struct{}, 1)
	s := newSecret()
	address := startShuffle(t, s, liar(func(_ *FetchBlocks, stream grpc.ServerStreamingServer[Block]) error {
		for range total / len(piece) {
			late := time.AfterFunc(200*time.Millisecond, func() {
				select {
				case blocked <- struct{}{}:
				default:
				}
			})
			err := stream.Send(&Block{Data: piece, Sum: block.Checksum(piece)})
			late.Stop()
			if err != nil {
				return err
			}
			sent.Add(int64(len(piece)))
		}
		return nil
	}))
	r := reader(t, s, &shuffle.Outputs{Batch: 1, Maps: []shuffle.Output{{Executor: "x@" + address, Bytes: []int64{0, total}}}})
	got := int64(0)
	for b, err := range r.Blocks(t.Context(), 1, 0, 1) {
		if err != nil {
			t.Fatal(err)
		}
		if got == 0 { // the task is busy until the sender is blocked
			next(t, "the sender to be held back", blocked)
			if n := sent.Load(); n > 16<<20 {
				t.Errorf("%d bytes were sent to a reader that took one block", n)
			}
		}
		got += int64(len(b))
	}
	if got != total {
		t.Errorf("%d of %d bytes came", got, total)
	}
}

// Idle connections above the bound are closed, those in use aren't.
func TestConnections(t *testing.T) {
	f := NewFetcher(incarnation, "me", newSecret())
	for i := range 3 * maxConns {
		address := fmt.Sprintf("127.0.0.1:%d", i+1)
		if _, err := f.conns.acquire(address); err != nil {
			t.Fatal(err)
		}
		if i > 0 { // the first stays in use
			f.conns.release(address)
		}
	}
	if n := len(f.conns.open); n > maxConns || f.conns.open["127.0.0.1:1"] == nil {
		t.Errorf("%d connections are open", n)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f.conns.release("127.0.0.1:1")
	if _, err := f.conns.acquire("127.0.0.1:2"); !errors.Is(err, ErrClosed) {
		t.Errorf("afterwards: %v", err)
	}
	if _, err := (&conns{open: map[string]*conn{}}).acquire(addressOf("no address")); err == nil {
		t.Error("a name without an address could be called")
	}
}
