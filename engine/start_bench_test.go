package engine_test

import (
	"testing"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
)

// BenchmarkBatchStart is a batch program from its start to its end, with one action that
// has a shuffle: what a user waits for before anything of the program's own.
func BenchmarkBatchStart(b *testing.B) {
	args := []string{"--master", "local[2]", "--log-level", "error"}
	for b.Loop() {
		err := engine.NewApp("start").RunBatch(b.Context(), args, func(sc *rdd.Context) error {
			_, err := rdd.Collect(rdd.CountedByValue(rdd.Parallelize(sc, []int{1, 2, 2, 3})))
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
