package engine_test

import (
	"os"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
)

// slow takes its time to be encoded.
type slow int

func (slow) MarshalText() ([]byte, error) {
	time.Sleep(10 * time.Second)
	return []byte("slow"), nil
}

func (*slow) UnmarshalText([]byte) error { return nil }

// Of a job without a --checkpoint nothing stays behind, also if it ends while a version of
// a state is saved.
func TestTemporaryCheckpointsGo(t *testing.T) {
	dir := t.TempDir()
	build := func(ssc *engine.StreamingContext) error {
		in := enginetest.Queue(ssc, [][]event{{ev("a", 1)}}, 2)
		held := engine.MapWithState(in, "held", func(_ string, _ *int, s *engine.State[slow]) (int, bool) {
			s.Update(1)
			return 0, false
		})
		engine.ForEachBatch(held, func(b engine.Batch, _ []int) error {
			if b.Seq == 3 {
				ssc.Stop()
			}
			return nil
		})
		return nil
	}
	if err := run(t, build, "--conf", "local.dir="+dir, "--conf", "checkpoint.interval=1s"); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("%v are left; %v", left, err)
	}
}
