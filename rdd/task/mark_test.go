package task_test

import (
	"testing"

	"github.com/hibana-engine/hibana/rdd/task"
)

// What was counted since a mark goes back, in whatever partition, and nothing else.
func TestRewind(t *testing.T) {
	var tc task.Context
	before := tc.At(1)
	tc.Metrics.RecordsRead, before.Metrics.RecordsRead = 1, 2
	mark, err := before.Mark()
	if err != nil {
		t.Fatal(err)
	}
	for p := range 3 {
		tc.At(p).Metrics.RecordsRead += 10
	}
	if n := tc.Counted().RecordsRead; n != 33 {
		t.Errorf("%d records before, not 33", n)
	}
	if err := tc.At(2).Rewind(mark); err != nil {
		t.Fatal(err)
	}
	if n := tc.Counted().RecordsRead; n != 3 {
		t.Errorf("%d records are left, not 3", n)
	}
	if tc.At(2).Metrics.RecordsRead++; tc.Counted().RecordsRead != 4 {
		t.Errorf("%d records afterwards, not 4", tc.Counted().RecordsRead)
	}
	if n := testing.AllocsPerRun(10, func() { _, err = before.Mark() }); n != 0 || err != nil {
		t.Errorf("a mark allocates %g times, %v", n, err)
	}
}
