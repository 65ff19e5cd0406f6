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
