package state

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/wire"
)

// savedKeeper is a keeper of one state with one partition, whose batches last a second.
type savedKeeper struct {
	*Keeper
	t   *testing.T
	dir string
	seq uint64
}

// newSavedKeeper opens a keeper that takes over what another one has left in a directory.
func newSavedKeeper(t *testing.T, dir string, epoch uint64, before *plan.LogState) *savedKeeper {
	t.Helper()
	store, err := Open(t.Context(), dir, 7)
	if err != nil {
		t.Fatal(err)
	}
	k := NewKeeper(Config{
		States: []*plan.State{{Name: "sums", Partitions: 1}}, Slides: func(int32) time.Duration { return 0 },
		Store: store, Interval: time.Hour, Batches: 1000, Troubles: &plan.Troubles{}, Log: slog.New(slog.DiscardHandler),
	})
	if err := k.Open(t.Context(), epoch, before); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); k.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done; _ = store.Close() })
	saved := &savedKeeper{Keeper: k, t: t, dir: filepath.Join(dir, "7", "sums")}
	if before.Last != nil {
		saved.seq = before.Last.Seq
	}
	return saved
}

// batch plans and completes a batch, and saves the state if that is asked for.
func (k *savedKeeper) batch() (saved bool) {
	k.seq++
	a := &plan.Allocation{Seq: k.seq, TimeNanos: int64(k.seq) * 1e9}
	k.Plan(a)
	if kind := a.States[0].Save; kind != plan.NoSave {
		f, err := k.Store.write(k.t.Context(), "sums", "0000"+string('0'+rune(k.seq))+"-1-0-x.state", []byte("x"))
		if err != nil {
			k.t.Fatal(err)
		}
		since := uint64(0)
		if c := a.States[0].Newest(k.seq); c != nil {
			since = c.Seq
		}
		note, err := wire.Encode(&Report{State: "sums", Seq: k.seq, Kind: kind, Since: since, File: f})
		if err != nil {
			k.t.Fatal(err)
		}
		k.Heard([][]byte{note})
		saved = true
	}
	synctest.Wait()
	k.Completed(k.seq, k.seq)
	synctest.Wait()
	return saved
}

// files lists what is in the store.
func (k *savedKeeper) files() (names []string) {
	entries, err := os.ReadDir(k.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		k.t.Fatal(err)
	}
	for _, e := range entries {
		name, _, _ := strings.Cut(e.Name(), "-")
		names = append(names, strings.TrimLeft(name, "0")+filepath.Ext(e.Name()))
	}
	return names
}

// Hold has a state saved with the next batch, however seldom it is saved otherwise, and
// its files stay until they are let go. It isn't for ever that it waits for a batch.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newSavedKeeper(t, t.TempDir(), 1, &plan.LogState{})
		soon := func() context.Context {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			t.Cleanup(cancel)
			return ctx
		}
		if _, _, _, err := k.Hold(soon(), "none"); !errors.Is(err, ErrNoState) {
			t.Errorf("a state that isn't there: %v", err)
		}
		if _, _, _, err := k.Hold(soon(), "sums"); !errors.Is(err, ErrNoCheckpoint) {
			t.Errorf("nothing is saved: %v", err)
		}
		if first, second := k.batch(), k.batch(); !first || second {
			t.Errorf("saved with the batch after it was asked for: %t, and with the next: %t", first, second)
		}
		m, stale, release, err := k.Hold(soon(), "sums") // no batch comes
		if err != nil || !stale || m.Seq != 1 {
			t.Fatalf("%+v, stale %t; %v", m, stale, err)
		}
		k.batch() // what that asked for
		seqs := make(chan uint64)
		go func() {
			m, stale, letGo, err := k.Hold(t.Context(), "sums")
			if err != nil || stale {
				t.Errorf("stale %t; %v", stale, err)
			}
			letGo()
			seqs <- m.Seq
		}()
		synctest.Wait()
		k.batch()
		if seq := <-seqs; seq != 4 {
			t.Errorf("the checkpoint is of batch %d", seq)
		}
		for range 3 {
			k.batch()
		}
		if got := k.files(); !slices.Contains(got, "1.manifest") || !slices.Contains(got, "1.state") {
			t.Errorf("while the first checkpoint is read there is %v", got)
		}
		release()
		synctest.Wait()
		if got := k.files(); slices.Contains(got, "1.manifest") || !slices.Contains(got, "4.manifest") {
			t.Errorf("afterwards there is %v", got)
		}
	})
}

// After another driver's batches a checkpoint of theirs is stale, too, and the state is
// saved with the next batch.
func TestHoldAfterATakeover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		k := newSavedKeeper(t, dir, 1, &plan.LogState{})
		stale := func(k *savedKeeper, want uint64) { // no batch comes meanwhile
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			m, stale, release, err := k.Hold(ctx, "sums")
			if want == 0 && errors.Is(err, ErrNoCheckpoint) {
				return
			}
			if err != nil || !stale || m.Seq != want {
				t.Fatalf("%+v, stale %t; %v", m, stale, err)
			}
			release()
		}
		stale(k, 0)
		k.batch() // what that asked for
		k.batch()
		last := &plan.Allocation{Seq: 3}
		k.Plan(last)

		next := newSavedKeeper(t, dir, 2, &plan.LogState{Last: last})
		stale(next, 1)
		if !next.batch() {
			t.Error("the state isn't saved with the next batch")
		}
		stale(next, 4)
	})
}

// A driver that was deposed removes nothing that a newer one wrote.
func TestSweepLeavesWhatNewerDriversWrote(t *testing.T) {
	store, err := Open(t.Context(), t.TempDir(), 7)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for _, name := range []string{"3-5-0-a.state", "3-6-0-b.state", "4-5-0-c.state"} {
		if _, err := store.write(t.Context(), "sums", name, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.sweep(t.Context(), "sums", 3, 5, nil); err != nil {
		t.Fatal(err)
	}
	names, err := store.bucket.Names(t.Context(), store.key("sums", ""))
	if slices.Sort(names); err != nil || !slices.Equal(names, []string{"3-6-0-b.state", "4-5-0-c.state"}) {
		t.Errorf("%v, %v", names, err)
	}
}
