package scheduler

import (
	"context"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler/kernel"
)

// atOnce is a backend whose tasks succeed as soon as they are launched.
type atOnce struct{ events BackendEvents }

func (b *atOnce) Start(events BackendEvents) {
	b.events = events
	events.ExecutorAdded("a", 2)
}

func (b *atOnce) Launch(executor string, t Task) {
	s := Success{}
	if _, isMap := t.ID.Shuffle(); isMap {
		s.Map = &MapStatus{Bytes: []int64{1}}
		s.Stored = []StoredBlock{{Block: task.Block{Ordinal: t.ID.Stage}, Level: 1}}
	}
	b.events.TaskEnded(executor, t.ID, s)
}

func (*atOnce) AnswerCommit(string, TaskID, bool) {}
func (*atOnce) DropCached([]lineage.ID)           {}
func (*atOnce) Kill(string, TaskID, string)       {}

// What the driver holds doesn't grow over the steps of a batch program that each shuffle
// and cache something new, as long as it is told what is gone.
func TestStepsLeaveNothing(t *testing.T) {
	d := NewDAGScheduler(&atOnce{}, Options{})
	defer d.Close()
	sc := rdd.NewContext(lineage.NewLineage(0, 1), nil)
	base := rdd.Parallelize(sc, []int{1}, rdd.Partitions(1))
	for step := 1; step <= 10_000; step++ {
		shuffled := rdd.CountedByValue(rdd.CountedByValue(base, rdd.Partitions(1)), rdd.Partitions(1))
		job := NewJob(0, step, shuffled.Node())
		if _, err := d.Submit(context.Background(), job); err != nil {
			t.Fatal(err)
		}
		var held kernel.Size
		var stages, batches, jobs int
		answered := make(chan struct{})
		d.ForgetStages(0, ResultStage(step))
		if step%2 == 0 { // two steps of each kind: what reads a shuffle may be forgotten later
			d.ForgetStages(0, int32(2*step-4), int32(2*step-3))
			d.ForgetStages(0, int32(2*step-2), int32(2*step-1))
			d.Blocks().Drop(lineage.ID{Ordinal: int32(2*step - 4)})
			d.Blocks().Drop(lineage.ID{Ordinal: int32(2*step - 3)})
			d.Blocks().Drop(lineage.ID{Ordinal: int32(2*step - 2)})
			d.Blocks().Drop(lineage.ID{Ordinal: int32(2*step - 1)})
		}
		d.post(func() {
			held, batches, jobs = d.kernel.Size(), len(d.batches), len(d.jobs)
			for _, b := range d.batches {
				stages += len(b.stages)
			}
			close(answered)
		})
		<-answered
		places := held.Places
		held.Places = 0
		if step%2 == 0 && (held != kernel.Size{Executors: 1} || stages+batches+jobs+d.tracker.Len()+d.blocks.Len() > 0 || places > 3000) {
			t.Fatalf("after step %d: %+v, %d places, %d stages of %d batches, %d jobs, %d shuffles tracked, %d blocks",
				step, held, places, stages, batches, jobs, d.tracker.Len(), d.blocks.Len())
		}
		if step%1000 == 0 {
			sc.Lineage().Drain()
		}
	}
}
