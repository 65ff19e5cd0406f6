package engine_test

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/rdd"
)

// progress notes what happens, each with the time since the first second.
type progress struct {
	mu   sync.Mutex
	seen []string
}

func (p *progress) note(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, fmt.Sprintf(format, args...)+time.Now().Format(" at 5.0"))
}

// of returns what was noted that begins with a prefix.
func (p *progress) of(prefix string) (lines []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range p.seen {
		if rest, is := strings.CutPrefix(line, prefix+" "); is {
			lines = append(lines, rest)
		}
	}
	return lines
}

// slowFirst declares three outputs, the first of which waits in the tasks of batch 1 until
// 3.5 s have passed.
func (p *progress) slowFirst(ssc *engine.StreamingContext, last uint64) {
	in := numbers(ssc)
	slow := engine.Map(in, func(i int) int {
		if i < 3 {
			time.Sleep(2500 * time.Millisecond)
		}
		return i
	})
	engine.ForEachBatch(slow, func(b engine.Batch, rows []int) error { p.note("collected %d %v", b.Seq, rows); return nil })
	engine.ForEachPartition(in, func(b engine.Batch, part rdd.Part, rows iter.Seq2[int, error]) error {
		if part.Index == 0 {
			p.note("written %d", b.Seq)
		}
		for range rows {
		}
		return nil
	})
	engine.ForEachBatch(in, func(b engine.Batch, _ []int) error {
		p.note("third %d", b.Seq)
		if b.Seq == last {
			ssc.Stop()
		}
		return nil
	})
	ssc.AddListener(p)
}

func (p *progress) OnBatchStarted(b engine.BatchInfo)   { p.note("started %d", b.Seq) }
func (p *progress) OnBatchCompleted(b engine.BatchInfo) { p.note("completed %d", b.Seq) }

// A batch that is slow holds up the outputs of those behind it, not their jobs: each output
// is done for one batch after the other.
func TestConcurrentJobs(t *testing.T) {
	for jobs, want := range map[string]map[string][]string{
		"1": {
			"started": {"1 at 1.0", "2 at 3.5", "3 at 3.5"}, "collected": {"1 [1 2] at 3.5", "2 [3] at 3.5", "3 [4 5 6] at 3.5"},
			"written": {"1 at 3.5", "2 at 3.5", "3 at 3.5"}, "third": {"1 at 3.5", "2 at 3.5", "3 at 3.5"}, "completed": {"1 at 3.5", "2 at 3.5", "3 at 3.5"},
		},
		"3": {
			"started": {"1 at 1.0", "2 at 2.0", "3 at 3.0"}, "collected": {"1 [1 2] at 3.5", "2 [3] at 3.5", "3 [4 5 6] at 3.5"},
			"written": {"1 at 3.5", "2 at 3.5", "3 at 3.5"}, "third": {"1 at 3.5", "2 at 3.5", "3 at 3.5"}, "completed": {"1 at 3.5", "2 at 3.5", "3 at 3.5"},
		},
	} {
		var p progress
		if err := run(t, func(ssc *engine.StreamingContext) error { p.slowFirst(ssc, 3); return nil },
			"--master", "local[8]", "--conf", "streaming.concurrentJobs="+jobs, "--conf", "streaming.maxPendingBatches=2"); err != nil {
			t.Fatal(err)
		}
		for what, lines := range want {
			if got := p.of(what); !slices.Equal(got, lines) {
				t.Errorf("%s at a time, %s:\n got %q\nwant %q", jobs, what, got, lines)
			}
		}
	}
}

// A batch that fails ends the job with its cause, whatever runs beside it, and those behind it
// do nothing.
func TestConcurrentJobsFail(t *testing.T) {
	broken := errors.New("the screen is gone")
	var p progress
	err := run(t, func(ssc *engine.StreamingContext) error {
		in := numbers(ssc)
		engine.ForEachBatch(in, func(b engine.Batch, _ []int) error {
			if b.Seq == 2 {
				time.Sleep(1500 * time.Millisecond)
				return broken
			}
			p.note("first %d", b.Seq)
			return nil
		})
		return nil
	}, "--conf", "streaming.concurrentJobs=3")
	var failed *engine.BatchError
	if !errors.Is(err, broken) || !errors.As(err, &failed) || failed.Seq != 2 {
		t.Errorf("%v", err)
	}
	if got := p.of("first"); !slices.Equal(got, []string{"1 at 1.0"}) {
		t.Errorf("%q", got)
	}
}

// A batch reads the state that the one before it has made: it doesn't make that one again,
// from the same records, and what is made is saved.
func TestConcurrentJobsOfStates(t *testing.T) {
	dir := t.TempDir()
	var mu sync.Mutex
	read := make(map[int]int)
	var seen []string
	err := run(t, func(ssc *engine.StreamingContext) error {
		in := engine.Map(enginetest.Queue(ssc, [][]int{{1}, {2}, {3}, {4}, {5}, {6}, {7}, {8}}, 1), func(i int) int {
			mu.Lock()
			read[i]++
			mu.Unlock()
			if i < 3 {
				time.Sleep(2500 * time.Millisecond)
			}
			return i
		})
		engine.ForEachBatch(totalOf(in), stopAfter(ssc, 8, &seen))
		return nil
	}, "--master", "local[8]", "--checkpoint", dir, "--conf", "checkpoint.interval=2s",
		"--conf", "streaming.concurrentJobs=3", "--conf", "streaming.maxPendingBatches=4")
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"1 [1]", "2 [3]", "3 [6]", "4 [10]", "5 [15]", "6 [21]", "7 [28]", "8 [36]"}; !slices.Equal(seen[:min(8, len(seen))], want) {
		t.Errorf("%q, want %q", seen, want)
	}
	if want := map[int]int{1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 1, 7: 1, 8: 1}; !maps.Equal(read, want) {
		t.Errorf("records were read %v times", read)
	}
	if made, _ := filepath.Glob(filepath.Join(dir, "state", "*", "sum", "*.manifest")); len(made) == 0 {
		t.Error("no checkpoint was made")
	}
}
