package launch

import (
	"log/slog"
	"testing"

	"github.com/hibana-engine/hibana/engine/internal/executor"
	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/internal/replay"
	"github.com/hibana-engine/hibana/rdd"
)

// What a program caches goes when nothing refers to it any more, and at once when it is
// unpersisted: over 1,000 rounds the executor's books don't grow, nor do the driver's.
func TestManyRoundsThatCache(t *testing.T) {
	const rounds, partitions = 1000, 2
	for name, tt := range map[string]struct {
		level  rdd.StorageLevel
		forget func(*rdd.RDD[int])
		most   int // blocks at a time
	}{
		"in memory":   {rdd.MemoryOnly, func(*rdd.RDD[int]) {}, rounds / 2},
		"on disk":     {rdd.DiskOnly, func(*rdd.RDD[int]) {}, rounds / 2},
		"unpersisted": {rdd.MemoryAndDisk, func(r *rdd.RDD[int]) { r.Unpersist() }, 2 * partitions},
	} {
		t.Run(name, func(t *testing.T) {
			m := &Local{Slots: 2}
			var most, mostFiles, shuffles, known int
			var mostBytes int64
			body := func(sc *rdd.Context) error {
				numbers := rdd.Parallelize(sc, make([]int, 100), rdd.Partitions(partitions))
				kept := rdd.Map(numbers, func(v int) int { return v + 1 }).Persist(tt.level) // all the time
				for round := range rounds {
					r := rdd.Map(rdd.Map(kept, func(v int) int { return v + round }), func(v int) int { return v }).Persist(tt.level)
					sum, err := rdd.Sum(r)
					if err != nil {
						return err
					}
					again, err := rdd.Sum(r)
					if err != nil || sum != again || sum != 100*(round+1) {
						t.Errorf("round %d: %d, then %d; %v", round, sum, again, err)
					}
					tt.forget(r)
					sc.OnDriver(func() error {
						held := m.exec.Held()
						most, mostBytes, mostFiles = max(most, held.Blocks), max(mostBytes, held.Memory), max(mostFiles, held.Files)
						shuffles, known = max(shuffles, m.dag.Tracker().Len()), max(known, m.dag.Blocks().Len())
						return nil
					})
				}
				return nil
			}
			copyOf := func() *plan.Program {
				p := &plan.Program{Parallelism: 2, Log: slog.New(slog.DiscardHandler), Settings: plan.DefaultSettings(), Calls: &plan.Calls{}}
				p.Settings.LocalDir = t.TempDir()
				t.Cleanup(p.Calls.Close)
				if err := p.BuildBatch(body); err != nil {
					t.Fatal(err)
				}
				return p
			}
			var err error
			if m.exec, err = executor.New(t.Context(), copyOf(), plan.JobHeader{Parallelism: 2}, executor.Memory{Blocks: 64 << 20}, nil); err != nil {
				t.Fatal(err)
			}
			c, err := m.connect(t.Context(), 1)
			if err != nil {
				t.Fatal(err)
			}
			d := replay.NewDriver(replay.Config{
				Program: copyOf(), Cluster: c.(*localCluster), Failing: func(err error) { t.Error(err) }, StepEnded: func() {}, Log: slog.New(slog.DiscardHandler),
			})
			if err := d.Run(t.Context()); err != nil {
				t.Error(err)
			}
			if most < 2*partitions || most > tt.most+partitions || known < 2*partitions || known > most || mostFiles > most || shuffles > 0 || mostBytes > 1<<20 {
				t.Errorf("at most %d blocks, %d bytes, %d files; the driver knew of %d blocks and %d shuffles", most, mostBytes, mostFiles, known, shuffles)
			}
			if err := m.close(); err != nil {
				t.Error(err)
			}
		})
	}
}
