package engine_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
)

// BenchmarkReduceByKeyAndWindow measures what a slide takes once the window is full, in
// which each batch has all keys: it hardly depends on the window's length. Batches come in
// real time, so -benchtime 200x takes ten seconds and more.
func BenchmarkReduceByKeyAndWindow(b *testing.B) {
	const keys, interval = 5000, 50 * time.Millisecond
	for _, slides := range []int{10, 100} {
		b.Run(fmt.Sprintf("slides=%d", slides), func(b *testing.B) {
			batch := make([]int, keys)
			for k := range batch {
				batch[k] = k
			}
			var took []time.Duration
			args := []string{"--master", "local[1]", "--log-level", "error"}
			err := engine.NewApp("bench").Run(context.Background(), args, interval, func(ssc *engine.StreamingContext) error {
				in := engine.QueueStream(ssc, slices.Repeat([][]int{batch}, slides+b.N), 1)
				ones := engine.Map(in, func(k int) rdd.Pair[int, int64] { return rdd.KV(k, int64(1)) })
				sums := engine.ReduceByKeyAndWindow(ones, func(a, b int64) int64 { return a + b }, time.Duration(slides)*interval, interval)
				engine.ForEachBatch(engine.Count(sums), func(engine.Batch, []int64) error { return nil })
				ssc.AddListener(onCompleted(func(info engine.BatchInfo) {
					if info.Seq > uint64(slides) {
						took = append(took, info.ProcessingTime)
					}
					if len(took) == b.N {
						ssc.Stop()
					}
				}))
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "max-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}
