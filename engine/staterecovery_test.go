package engine_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/rdd"
)

// A job that fails and is started again, at any batch, has the states that it would have
// had.
func TestStateIsRecovered(t *testing.T) {
	const batches = 30
	input := make([][]event, batches)
	for i := range input {
		input[i] = []event{ev("a", 1), ev(fmt.Sprint("k", i%7), i)}
	}
	broken := errors.New("the screen is gone")
	run := func(t *testing.T, dir string, failAt map[uint64]bool) (out []string, err error) {
		out = make([]string, batches)
		synctest.Test(t, func(t *testing.T) {
			for {
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
				err = engine.NewApp("test").Run(ctx, []string{"--log-level", "error", "--master", "local[2]", "--checkpoint", dir, "--conf", "checkpoint.interval=2s"}, time.Second, func(ssc *engine.StreamingContext) error {
					sums := engine.MapWithState(enginetest.Queue(ssc, input, 2), "sums", runningSum, engine.Timeout(5*time.Second))
					engine.ForEachBatch(sums, func(b engine.Batch, rows []string) error {
						if failAt[b.Seq] {
							delete(failAt, b.Seq)
							return broken
						}
						if b.Seq <= batches {
							out[b.Seq-1] = strings.Join(sorted(rows), " ")
						}
						if b.Seq == batches {
							ssc.Stop()
						}
						return nil
					})
					return nil
				})
				cancel()
				if !errors.Is(err, broken) {
					return
				}
			}
		})
		return out, err
	}
	want, err := run(t, t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	every := make(map[uint64]bool)
	for seq := uint64(1); seq <= batches; seq++ {
		every[seq] = true
	}
	for name, failAt := range map[string]map[uint64]bool{"often": every, "once": {17: true}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			got, err := run(t, dir, failAt)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, want) {
				t.Errorf("\n got %q\nwant %q", got, want)
			}
			files, _ := filepath.Glob(filepath.Join(dir, "state", "*", "sums", "*"))
			if name == "once" && (len(files) == 0 || len(files) > 20) { // else no checkpoint comes to its end
				t.Errorf("%d files of checkpoints", len(files))
			}
		})
	}
}

// turned places keys by their first byte, beginning with partition From. Its name doesn't
// tell all of it.
type turned struct{ N, From int }

func (p turned) Partitions() int              { return p.N }
func (p turned) Partition(k string) int       { return (int(k[0]) + p.From) % p.N }
func (p turned) Equal(o rdd.Partitioner) bool { return p == o }

// silent is turned, of which nothing tells that it is another one.
type silent struct{ turned }

func (silent) String() string                 { return "by the first byte" }
func (p silent) Equal(o rdd.Partitioner) bool { return p == o }

// A state is spread anew for another partitioner, as its fields tell; one that doesn't say
// that it is another is found out by the keys.
func TestStateOfAnotherPartitioner(t *testing.T) {
	input := make([][]event, 12)
	for i := range input {
		input[i] = []event{ev("a", 1), ev("b", 1)}
	}
	run := func(dir string, p rdd.Partitioner, until uint64) (last []string, err error) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
			defer cancel()
			err = engine.NewApp("test").Run(ctx, []string{"--log-level", "error", "--checkpoint", dir, "--conf", "checkpoint.interval=1s"}, time.Second, func(ssc *engine.StreamingContext) error {
				engine.ForEachBatch(engine.MapWithState(enginetest.Queue(ssc, input, 2), "sums", runningSum, engine.By(p)), func(b engine.Batch, rows []string) error {
					if b.Seq <= until {
						last = sorted(rows)
					}
					if b.Seq >= until {
						ssc.Stop()
					}
					return nil
				})
				return nil
			})
		})
		return last, err
	}
	dir := t.TempDir()
	if last, err := run(dir, turned{2, 0}, 6); err != nil || !slices.Equal(last, []string{"a=6", "b=6"}) {
		t.Fatal(last, err)
	}
	if last, err := run(dir, turned{2, 1}, 10); err != nil || !slices.Equal(last, []string{"a=10", "b=10"}) {
		t.Errorf("%q, %v", last, err)
	}
	dir = t.TempDir()
	if _, err := run(dir, silent{turned{2, 0}}, 6); err != nil {
		t.Fatal(err)
	}
	if last, err := run(dir, silent{turned{2, 1}}, 10); !errors.Is(err, engine.ErrState) {
		t.Errorf("%q, %v", last, err)
	}
}
