package launch

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/hibana-engine/hibana/engine/internal/plan"
)

// logs are the batch logs that every test runs on; reopen closes a log and
// opens it again where that is possible.
func logs(t *testing.T) map[string]func(t *testing.T) (open func() plan.Log, durable bool) {
	return map[string]func(t *testing.T) (func() plan.Log, bool){
		"memory": func(t *testing.T) (func() plan.Log, bool) {
			l, err := OpenLog("", nil)
			must(t, err)
			return func() plan.Log { return l }, false
		},
		"directory": func(t *testing.T) (func() plan.Log, bool) {
			dir := t.TempDir()
			return func() plan.Log {
				l, err := OpenLog(dir, slog.New(slog.DiscardHandler))
				must(t, err)
				return l
			}, true
		},
	}
}

func allocation(seq uint64) *plan.Allocation {
	return &plan.Allocation{
		Format: plan.AllocationFormat, Incarnation: 9, Epoch: 1, Seq: seq, TimeNanos: int64(seq) * 1e9,
		Inputs: []plan.InputAllocation{{DStream: 1, Ranges: []byte{byte(seq)}, Records: int64(seq)}},
	}
}

// Who only looks into a directory writes nothing into one that has no log.
func TestLookIntoLog(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Join(dir, "none")} {
		l, err := LookIntoLog(d, slog.New(slog.DiscardHandler))
		must(t, err)
		if s, err := l.Recover(t.Context()); err != nil || s.Header != nil {
			t.Errorf("%s holds %+v; %v", d, s, err)
		}
		must(t, l.Close())
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("in the directory is %v; %v", entries, err)
	}
	l, err := OpenLog(dir, slog.New(slog.DiscardHandler))
	must(t, err)
	_, err = l.Start(t.Context(), plan.JobHeader{App: "a"})
	must(t, err)
	must(t, l.Allocate(t.Context(), allocation(1)))
	must(t, l.Close())
	l, err = LookIntoLog(dir, slog.New(slog.DiscardHandler))
	must(t, err)
	if s, err := l.Recover(t.Context()); err != nil || s.Header == nil || s.Last == nil || s.Last.Seq != 1 {
		t.Errorf("the log holds %+v; %v", s, err)
	}
	must(t, l.Close())
}

func TestBatchLog(t *testing.T) {
	ctx := context.Background()
	for name, make := range logs(t) {
		t.Run(name, func(t *testing.T) {
			open, durable := make(t)
			l := open()
			header := plan.JobHeader{App: "count", Incarnation: 9, Fingerprint: 1, Parallelism: 2, Graph: []string{"a"}}
			epoch, err := l.Start(ctx, header)
			if err != nil || epoch != 1 {
				t.Fatal(epoch, err)
			}
			must(t, l.RecordValue(ctx, plan.NamedValue{Name: "now", Data: []byte{1}}))
			for seq := uint64(1); seq <= 3; seq++ {
				a := allocation(seq)
				a.Keep = 1
				var done []plan.Completion
				if seq == 3 {
					done = []plan.Completion{{Seq: 1, Output: plan.BatchDone}, {Seq: 2, Output: 1}}
				}
				must(t, l.Allocate(ctx, a, done...))
			}
			must(t, l.Complete(ctx, plan.Completion{Seq: 2, Output: 0}))
			must(t, l.Complete(ctx, plan.Completion{Seq: 2, Output: 0}))
			want, err := l.Recover(ctx)
			must(t, err)
			if want.Last.Seq != 3 || len(want.Incomplete) != 2 || !slices.Equal(want.Incomplete[0].Done, []int32{0, 1}) || want.Epoch != 1 {
				t.Errorf("%+v", want)
			}
			if len(want.Past) != 1 || want.Past[0].Seq != 1 || want.First() != 1 {
				t.Errorf("%d batches are kept, from %d on", len(want.Past), want.First())
			}
			if !durable {
				return
			}
			must(t, l.Close())
			l = open()
			got, err := l.Recover(ctx)
			must(t, err)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, want %+v", got, want)
			}
			if epoch, err := l.Start(ctx, header); err != nil || epoch != 2 {
				t.Error(epoch, err)
			}
			must(t, l.Close())
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func FuzzDecodeAllocation(f *testing.F) {
	b, _ := allocation(3).Encode()
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := plan.DecodeAllocation(b); err == nil && a.Format != plan.AllocationFormat {
			t.Error("an unknown format was taken")
		}
	})
}
