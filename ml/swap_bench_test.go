package ml_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"bytes"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/ml"
	"github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/serializers"
)

// delays is a listener that notes how late batches are.
type delays struct{ all []time.Duration }

func (d *delays) OnBatchCompleted(b engine.BatchInfo) { d.all = append(d.all, b.TotalDelay) }

// BenchmarkSwap swaps the MLP 784-1000-1000-10 ten times under load, a batch of
// 1,000 rows every 50 ms on two slots, and reports how late batches were at worst
// in that run and in one without swaps.
func BenchmarkSwap(b *testing.B) {
	mlp := func() ml.Network {
		return links.Sequential(links.Linear(1000, links.InSize(784)), functions.ReLU,
			links.Linear(1000, links.InSize(1000)), functions.ReLU, links.Linear(10, links.InSize(1000)))
	}
	var files [2][]byte
	for i := range files {
		net := mlp()
		links.Seed(net.(links.Link), rand.Uint64())
		var out bytes.Buffer
		if err := serializers.WriteNPZ(&out, net); err != nil {
			b.Fatal(err)
		}
		files[i] = out.Bytes()
	}
	worst := func(swaps int) time.Duration {
		d := &delays{}
		rows := make([]int, 1000)
		batches := make([][]int, 80)
		for i := range batches {
			batches[i] = rows
		}
		err := engine.NewApp("swap").Run(context.Background(), []string{"--master", "local[2]", "--log-level", "error"}, 50*time.Millisecond, func(ssc *engine.StreamingContext) error {
			m := ml.Model(ssc, "mlp", mlp, files[0], 784)
			started := make(chan struct{})
			ssc.DriverTask("publish", func(ctx context.Context) error {
				<-started
				for i := range swaps {
					if _, err := m.Publish(ctx, files[(i+1)%2]); err != nil {
						return err
					}
				}
				return nil
			})
			ssc.AddListener(d)
			out := ml.Predict(enginetest.Queue(ssc, batches, 2), m, func(_ int, row []float32) error { row[5] = 1; return nil },
				func(_ int, out ml.Row) (float32, error) { return out.Output[0], nil })
			engine.ForEachBatch(out, func(batch engine.Batch, _ []float32) error {
				switch batch.Seq {
				case 5:
					close(started)
				case 80:
					ssc.Stop()
				}
				return nil
			})
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		var most time.Duration
		for _, x := range d.all[4:] {
			most = max(most, x)
		}
		return most
	}
	for b.Loop() {
		b.ReportMetric(float64(worst(0))/1e6, "worst-ms")
		b.ReportMetric(float64(worst(10))/1e6, "worst-swapping-ms")
	}
}
