package driver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
)

// riding is a job whose batches take 10 ms each, and its log, which takes 3 ms for a batch.
type riding struct {
	clocked
	comes     int           // batches while which a record comes
	backlog   int64         // what the first plan leaves to read
	plans     time.Duration // how long the input plans
	completes time.Duration // how long the log takes for a completion
	failing   uint64        // a batch that can't be logged
	full      bool          // no completion can be logged
	hopeless  uint64        // a batch that can't be planned
	back      time.Duration // how far batches reach back
	inMemory  bool          // the log doesn't outlive the process

	mu    sync.Mutex
	ready func()
	told  []string
}

func (r *riding) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = append(r.told, fmt.Sprintf(format, args...)+fmt.Sprintf(" at %s", time.Since(r.began)))
}

func (r *riding) Notify(ready func()) error {
	r.ready = ready
	return nil
}

var (
	errHopeless = errors.New("no such topic")
	errTooLarge = errors.New("the allocation takes too much")
)

func (r *riding) Plan(_ context.Context, req plan.PlanRequest) (plan.Share, error) {
	time.Sleep(r.plans)
	if req.Seq == r.hopeless {
		return plan.Share{}, errHopeless
	}
	if req.Seq == 1 {
		return plan.Share{Records: 1, Backlog: r.backlog}, nil
	}
	return plan.Share{Records: 1}, nil
}

func (r *riding) Allocate(_ context.Context, a *plan.Allocation, done ...plan.Completion) error {
	time.Sleep(3 * time.Millisecond)
	if a.Seq == r.failing {
		return errTooLarge
	}
	if a.Seq == r.last {
		r.stop()
	}
	text := fmt.Sprint("batch ", a.Seq)
	for _, c := range done {
		text += fmt.Sprintf(" with the end of %d", c.Seq)
	}
	r.note("%s", text)
	return nil
}

func (r *riding) Complete(_ context.Context, c plan.Completion) error {
	time.Sleep(r.completes)
	if r.full {
		return errFull
	}
	r.note("end of %d", c.Seq)
	return nil
}

// A batch's completion goes to a log that outlives the process with the next batch if that is
// planned at once, else alone, and before it in any case. Nobody is told that a batch is complete
// before the log has that.
func TestCompletionsRide(t *testing.T) {
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		job  *riding
		jobs int
		err  error
		want []string
	}{
		"records are there": {&riding{comes: 2}, 1, nil, []string{
			"batch 1 at 3ms", "batch 2 with the end of 1 at 16ms", "1 is over at 16ms", "batch 3 with the end of 2 at 29ms", "2 is over at 29ms", "end of 3 at 39ms", "3 is over at 39ms",
		}},
		"a log in memory": {&riding{comes: 2, inMemory: true}, 1, nil, []string{
			"batch 1 at 3ms", "end of 1 at 13ms", "1 is over at 13ms", "batch 2 at 16ms", "end of 2 at 26ms", "2 is over at 26ms", "batch 3 at 29ms", "end of 3 at 39ms", "3 is over at 39ms",
		}},
		"a log in memory, and one is planned ahead": {&riding{comes: 5, backlog: 1, inMemory: true}, 1, nil, []string{
			"batch 1 at 3ms", "batch 2 at 6ms", "end of 1 at 13ms", "1 is over at 13ms", "end of 2 at 23ms", "2 is over at 23ms", "batch 3 at 26ms", "end of 3 at 36ms", "3 is over at 36ms",
		}},
		"one is planned ahead": {&riding{comes: 5, backlog: 1}, 1, nil, []string{
			"batch 1 at 3ms", "batch 2 at 6ms", "end of 1 at 13ms", "1 is over at 13ms", "batch 3 with the end of 2 at 26ms", "2 is over at 26ms", "end of 3 at 36ms", "3 is over at 36ms",
		}},
		"nothing comes": {&riding{}, 1, nil, []string{
			"batch 1 at 3ms", "end of 1 at 13ms", "1 is over at 13ms", "batch 2 at 1.003s", "end of 2 at 1.013s", "2 is over at 1.013s", "batch 3 at 2.003s", "end of 3 at 2.013s", "3 is over at 2.013s",
		}},
		"batches are kept apart": {&riding{comes: 2, back: 32 * time.Second}, 1, nil, []string{
			"batch 1 at 3ms", "end of 1 at 13ms", "1 is over at 13ms", "batch 2 at 128ms", "end of 2 at 138ms", "2 is over at 138ms", "batch 3 at 253ms", "end of 3 at 263ms", "3 is over at 263ms",
		}},
		"an input that is slow": {&riding{comes: 1, plans: 100 * ms}, 1, nil, []string{
			"batch 1 at 103ms", "end of 1 at 118ms", "1 is over at 118ms", "batch 2 at 216ms", "end of 2 at 226ms", "2 is over at 226ms",
		}},
		"a log that is slow": {&riding{comes: 1, plans: 10 * ms, completes: 50 * ms}, 1, nil, []string{
			"batch 1 at 13ms", "end of 1 at 78ms", "1 is over at 78ms", "batch 2 at 81ms", "end of 2 at 141ms", "2 is over at 141ms",
		}},
		"batches beside each other": {&riding{comes: 1}, 2, nil, []string{
			"batch 1 at 3ms", "batch 2 at 6ms", "end of 1 at 13ms", "1 is over at 13ms", "end of 2 at 23ms", "2 is over at 23ms",
		}},
		"the next batch can't be logged":  {&riding{comes: 1, failing: 2}, 1, errTooLarge, []string{"batch 1 at 3ms", "end of 1 at 16ms", "1 is over at 16ms"}},
		"the next batch can't be planned": {&riding{comes: 1, hopeless: 2}, 1, errHopeless, []string{"batch 1 at 3ms", "end of 1 at 13ms", "1 is over at 13ms"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second))) // ticks are at whole seconds of the test
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				job := c.job
				job.began, job.stop, job.last = time.Now(), stop, 2
				if c.jobs == 1 && job.plans == 0 {
					job.last = 3
				}
				p := &plan.Program{Interval: time.Second, Cadence: plan.AsSoonAsPossible, Settings: plan.DefaultSettings()}
				p.Settings.ConcurrentJobs = c.jobs
				in := &plan.Input{Stream: p.Graph.AddStream(plan.Declaration{Op: "queue"}), Open: func(context.Context) (plan.Planner, error) { return job, nil }}
				in.Back = job.back
				p.Graph.Inputs = []*plan.Input{in}
				p.Graph.Outputs = []*plan.Output{{Declaration: plan.Declaration{Op: "sink"}, Parent: plan.Parent{ID: in.ID},
					Action: func(g *plan.Generation) lineage.Action {
						return lineage.Action{Final: rdd.Parallelize(g.RDDs, []int{1}).Node()}
					},
					OnDriver: func(_ context.Context, a *plan.Allocation, _ [][]byte) error {
						if int(a.Seq) <= job.comes {
							job.ready()
						}
						time.Sleep(10 * ms)
						return nil
					},
				}}
				d := New(Config{Program: p, Header: plan.JobHeader{Durable: !job.inMemory}, Batches: job, Cluster: job, Troubles: new(plan.Troubles), Log: slog.New(slog.DiscardHandler), Listeners: []plan.Listener{func(e plan.Event) {
					if e, ok := e.(plan.BatchCompleted); ok {
						job.note("%d is over", e.Seq)
						if e.ProcessingTime != 10*ms {
							t.Errorf("batch %d took %s", e.Seq, e.ProcessingTime)
						}
						if want := time.Since(e.Time); e.TotalDelay != want {
							t.Errorf("batch %d was complete after %s, want %s", e.Seq, e.TotalDelay, want)
						}
					}
				}}})
				if err := d.Run(ctx); !errors.Is(err, c.err) {
					t.Errorf("it ends with %v", err)
				}
				if !slices.Equal(job.told, c.want) {
					t.Errorf("\n got %q\nwant %q", job.told, c.want)
				}
			})
		})
	}
}

// Where neither a batch nor the completion that was to go with it can be logged, each has an
// error of its own, and the batch before isn't over.
func TestNeitherIsLogged(t *testing.T) {
	job := &riding{failing: 2, full: true}
	d, r := New(Config{Program: &plan.Program{}, Batches: job}), newRide(1)
	if err := d.allocate(t.Context(), &plan.Allocation{Seq: 2}, r); !errors.Is(err, errTooLarge) {
		t.Errorf("batch 2: %v", err)
	}
	if err := r.await(t.Context()); !errors.Is(err, errFull) {
		t.Errorf("the completion of batch 1: %v", err)
	}
}
