package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/engine"
)

// Parity edge 14: after a restart come the batches that weren't finished, then those of the times
// that passed, then new ones: one at each multiple of the interval.
func TestMissedBatchesAreMadeUp(t *testing.T) {
	dir := t.TempDir()
	broken := errors.New("the screen is gone")
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var seen []string
		start := func(failAt, last uint64) error {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			return engine.NewApp("test").Run(ctx, []string{"--log-level", "error", "--checkpoint", dir}, time.Second, func(ssc *engine.StreamingContext) error {
				engine.ForEachBatch(numbers(ssc), func(b engine.Batch, _ []int) error {
					if b.Seq == failAt {
						time.Sleep(1500 * time.Millisecond) // another one is planned meanwhile
						return broken
					}
					if b.Seq <= last {
						seen = append(seen, fmt.Sprintf("%d of %s at %s", b.Seq, b.Time.Sub(began), time.Since(began)))
					}
					if b.Seq == last {
						ssc.Stop()
					}
					return nil
				})
				return nil
			})
		}
		if err := start(2, 0); !errors.Is(err, broken) {
			t.Fatal(err)
		}
		seen = nil
		time.Sleep(3 * time.Second)
		if err := start(0, 8); err != nil {
			t.Fatal(err)
		}
		want := []string{ // batch 2 failed after 3.5 s, when batch 3 was planned
			"2 of 2s at 6.5s", "3 of 3s at 6.5s", // unfinished
			"4 of 4s at 6.5s", "5 of 5s at 6.5s", "6 of 6s at 6.5s", // made up
			"7 of 7s at 7s", "8 of 8s at 8s",
		}
		if !slices.Equal(seen, want) {
			t.Errorf("\n got %v\nwant %v", seen, want)
		}
	})
}
