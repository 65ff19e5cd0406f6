package ml_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/ml"
	"github.com/hibana-engine/hibana/ml/compile"
	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/serializers"
)

// weightsOf returns the file of a network whose output layer has the given bias.
func weightsOf(t *testing.T, bias float32) []byte {
	t.Helper()
	net := small()
	var names []string
	for name, p := range links.Params(net.(links.Link)) {
		names = append(names, name)
		if strings.HasSuffix(name, "/b") && len(names) == 4 {
			for i := range p.Floats() {
				p.Floats()[i] = bias
			}
		}
	}
	var b bytes.Buffer
	if err := serializers.WriteNPZ(&b, net); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A published version takes over between two batches and its results say so; one
// with a NaN is refused, by the name of its layer, and a rollback goes back.
func TestSwapModel(t *testing.T) {
	one, two, bad := weightsOf(t, 0), weightsOf(t, 1000), weightsOf(t, float32(math.NaN()))
	batches := make([][]int, 12)
	for i := range batches {
		batches[i] = []int{1, 2, 3}
	}
	digests := make(chan string, 3)
	got, err := enginetest.Run(t, batches, len(batches), func(in *engine.DStream[int]) *engine.DStream[string] {
		ssc := in.Context()
		m := ml.Model(ssc, "small", small, one, 3)
		ssc.DriverTask("publish", func(ctx context.Context) error {
			digests <- m.Digest()
			time.Sleep(3 * enginetest.Interval) // virtual
			if _, err := m.Publish(ctx, bad); !errors.Is(err, ml.ErrModel) || !errors.Is(err, compile.ErrWeights) || !strings.Contains(err.Error(), "/b (2) has NaN") {
				t.Errorf("weights with a NaN: %v", err)
			}
			if _, err := m.Publish(ctx, two[:len(two)/2]); !errors.Is(err, ml.ErrModel) {
				t.Errorf("half a file: %v", err)
			}
			digest, err := m.Publish(ctx, two)
			if err != nil {
				return err
			}
			digests <- digest
			time.Sleep(3 * enginetest.Interval)
			digest, err = m.Rollback(ctx, "")
			digests <- digest
			return err
		})
		return ml.Predict(in, m, encode, func(_ int, out ml.Row) (string, error) {
			return fmt.Sprint(out.Output[0] > 500, " ", out.Digest), nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	for _, rows := range got {
		if rows[0] != rows[1] || rows[1] != rows[2] {
			t.Fatalf("a batch ran with two versions: %v", rows)
		}
		if len(seen) == 0 || seen[len(seen)-1] != rows[0] {
			seen = append(seen, rows[0])
		}
	}
	want := []string{"false " + <-digests, "true " + <-digests, "false " + <-digests}
	if fmt.Sprint(seen) != fmt.Sprint(want) {
		t.Errorf("\n got %v\nwant %v", seen, want)
	}
}

// An encoder that sets only what isn't zero gets rows of zeros, whatever they
// held before.
func TestPredictSparseRows(t *testing.T) {
	file := weights(t)
	run := func(batches ...[]int) []string {
		got, err := enginetest.Run(t, batches, len(batches), func(in *engine.DStream[int]) *engine.DStream[string] {
			return ml.Predict(in, ml.Model(in.Context(), "small", small, file, 3),
				func(v int, row []float32) error { row[v%3] = 1; return nil },
				func(_ int, out ml.Row) (string, error) { return fmt.Sprintf("%x", out.Output), nil })
		}, "--master", "local[1]")
		if err != nil {
			t.Fatal(err)
		}
		return got[len(got)-1]
	}
	if alone, after := run([]int{1}), run([]int{0, 0}, []int{1}); alone[0] != after[0] {
		t.Errorf("alone %s, after others %s", alone, after)
	}
}
