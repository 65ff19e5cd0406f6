package block_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/task"
)

var (
	errGone   = errors.New("the other executor is gone")
	errEnough = errors.New("no more is wanted")
)

// other is another executor, as tasks see it: it sends what it keeps until it dies.
type other struct {
	keeper
	frames int // that it sends before it dies
	asked  int
	next   *other // that keeps the same, nil for none
}

// Fetch implements task.Elsewhere.
func (o *other) Fetch(ctx context.Context, b task.Block, i int) iter.Seq2[[]byte, error] {
	switch {
	case i > 0 && o.next != nil:
		return o.next.Fetch(ctx, b, i-1)
	case i > 0:
		return nil
	}
	o.asked++
	return func(yield func([]byte, error) bool) {
		left := o.frames
		err := o.Partitions().Kept(b).Send(func(frame []byte) error {
			if left--; left < 0 {
				return errGone
			}
			if !yield(bytes.Clone(frame), nil) {
				return errEnough
			}
			clear(frame) // it is good no longer
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(nil, &task.NotFetchedError{Block: b, Executor: "other", Err: err})
		}
	}
}

// A task reads what another executor keeps, wherever that has it and this one will, and keeps
// it. From one that dies on the way it takes what came, and computes the rest.
func TestFetchedFromElsewhere(t *testing.T) {
	const n, most = 5000, 100 // some frames
	for _, level := range []rdd.StorageLevel{rdd.MemoryOnly, rdd.MemoryAndDisk, rdd.DiskOnly} {
		for _, limit := range []int64{1 << 20, 100 << 10, 0} {
			for _, frames := range []int{most, 0, 2} {
				t.Run(fmt.Sprintf("%s in %d, %d frames", level, limit, frames), func(t *testing.T) {
					here, there := newKeeper(t, limit), &other{keeper: newKeeper(t, 1<<20), frames: frames}
					calls := 0
					r := words(n, &calls).Persist(level)
					want, err := read(r, there.task(t), 0)
					if err != nil || len(want) != n {
						t.Fatal(len(want), err)
					}
					tc := here.task(t)
					tc.Elsewhere = there
					calls = 0
					for times := 1; times <= 2; times++ {
						got, err := read(r, tc, 0)
						if err != nil || !slices.Equal(got, want) {
							t.Fatalf("%d elements, %v", len(got), err)
						}
						asked, computed := times, 0
						if level != rdd.MemoryOnly || limit == 1<<20 { // it is kept here the second time
							asked = 1
						}
						if frames < most {
							computed = asked * n
						}
						if calls != computed || there.asked != asked {
							t.Errorf("read %d times: %d elements computed, %d expected; asked %d times, %d expected", times, calls, computed, there.asked, asked)
						}
					}
				})
			}
		}
	}
}

// If one can't send what it keeps, the next is asked, unless what came has gone on already: then
// the rest is computed. Nobody is asked twice.
func TestFetchedFromTheNext(t *testing.T) {
	const n, most = 5000, 100 // some frames
	for _, c := range []struct {
		limit         int64
		first, second int // frames that they send before they die
		computed      int
		asked         int // of the second
	}{
		{1 << 20, 0, most, 0, 1}, {1 << 20, 2, most, 0, 1}, {1 << 20, most, most, 0, 0}, {1 << 20, 2, 2, n, 1},
		{0, 0, most, 0, 1}, {0, 2, most, n, 0}, {0, 0, 2, n, 1},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			second := &other{keeper: newKeeper(t, 1<<20), frames: c.second}
			first := &other{keeper: newKeeper(t, 1<<20), frames: c.first, next: second}
			calls := 0
			r := words(n, &calls).Cache()
			want, err := read(r, second.task(t), 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := read(r, first.task(t), 0); err != nil {
				t.Fatal(err)
			}
			tc := newKeeper(t, c.limit).task(t)
			tc.Elsewhere = first
			calls = 0
			got, err := read(r, tc, 0)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%d elements, %v", len(got), err)
			}
			if calls != c.computed || first.asked != 1 || second.asked != c.asked {
				t.Errorf("%d elements computed, the first asked %d times, the second %d", calls, first.asked, second.asked)
			}
		})
	}
}

// Who has enough, or is killed, asks for no more, and computes nothing.
func TestFetchedInPart(t *testing.T) {
	there := &other{keeper: newKeeper(t, 1<<20), frames: 100}
	calls := 0
	r := words(5000, &calls).Cache()
	if _, err := read(r, there.task(t), 0); err != nil {
		t.Fatal(err)
	}
	calls = 0
	here := newKeeper(t, 0) // where nothing is kept: it is handed on as it comes
	tc := here.task(t)
	tc.Elsewhere = there
	for range r.Compute(tc, 0) {
		break
	}
	killed := here.task(t)
	ctx, kill := context.WithCancelCause(t.Context())
	defer kill(nil)
	killed.Context, killed.Elsewhere = ctx, there
	got := 0
	var last error
	for _, err := range r.Compute(killed, 0) {
		if got++; got == 10 {
			kill(errGone)
		}
		last = err
	}
	if !errors.Is(last, errGone) || got >= 5000 || calls != 0 || there.asked != 2 {
		t.Errorf("%d elements, %v; %d computed, asked %d times", got, last, calls, there.asked)
	}
}

// What another attempt may make otherwise, and what can't be encoded, is computed. So is,
// whole, what broke off and has other elements now; if what came has been read already, that
// is an error.
func TestNotFetched(t *testing.T) {
	there := &other{keeper: newKeeper(t, 1<<20), frames: 2}
	calls := 0
	varying := words(10, &calls).Indeterminate().Cache()
	secrets := rdd.Map(words(10, &calls), func(s string) func() string { return func() string { return s } }).Cache()
	size := 5000
	shrinking := rdd.FlatMap(words(1, &calls), func(string) []string { return slices.Repeat([]string{fmt.Sprintf("%032d", 1)}, size) }).Cache()
	ask := func() *task.Context {
		tc := newKeeper(t, 1<<20).task(t) // the RDDs are of contexts of their own, with the same names
		tc.Elsewhere = there
		return tc
	}
	if got, err := read(varying, ask(), 0); len(got) != 10 || err != nil {
		t.Error(len(got), err)
	}
	if got, err := read(secrets, ask(), 0); len(got) != 10 || err != nil || there.asked > 0 {
		t.Error(len(got), err, there.asked)
	}
	if _, err := read(shrinking, there.task(t), 0); err != nil {
		t.Fatal(err)
	}
	size = 1
	if got, err := read(shrinking, ask(), 0); len(got) != 1 || err != nil {
		t.Error(len(got), err)
	}
	unkept := newKeeper(t, 0).task(t)
	unkept.Elsewhere = there
	if _, err := read(shrinking, unkept, 0); !errors.Is(err, rdd.ErrChanged) || !errors.Is(err, errGone) {
		t.Error(err)
	}
}
