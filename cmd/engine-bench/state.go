package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
)

// stateResult is what state measured.
type stateResult struct {
	result
	Keys            int     `json:"keys"`
	CheckpointP50MS float64 `json:"checkpoint_p50_ms"` // of batches in which a checkpoint was under way
	OtherP50MS      float64 `json:"other_p50_ms"`      // of the others
	Checkpoints     int     `json:"checkpoints"`       // batches in which one was
	RSSMiB          int     `json:"rss_mib"`           // the most
}

func (r *stateResult) print(w io.Writer) {
	r.result.print(w)
	fmt.Fprintf(w, "  %d keys; %d batches with a checkpoint under way: p50 %.3f ms, the others %.3f ms\n", r.Keys, r.Checkpoints, r.CheckpointP50MS, r.OtherP50MS)
}

// runState measures what batches take that change a large keyed state.
func runState(ctx context.Context, f *flag.FlagSet, args []string) (report, error) {
	o := newSteadyFlags(f, 1_000_000, 100_000, 15)
	checkpoints := f.Duration("checkpoint-interval", 10*time.Second, "checkpoint.interval of the engine")
	if err := parse(f, args); err != nil {
		return nil, err
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	s, stop, err := o.start(ctx)
	if err != nil {
		return nil, err
	}
	defer stop()
	dir, err := os.MkdirTemp("", "bench-state-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	saved := &savedStates{dir: dir, at: make(map[uint64]time.Time)}
	s.seen = saved.look
	if err := s.runState(ctx, "--checkpoint", dir, "--conf", "checkpoint.interval="+checkpoints.String()); err != nil {
		return nil, err
	}
	r := &stateResult{Keys: *o.keys}
	of, err := s.result()
	r.result, r.RSSMiB = *of, of.PeakRSSMiB
	if err != nil {
		return r, err
	}
	var with, without []float64
	for _, b := range s.counted() {
		if saved.during(b) {
			with = append(with, ms(b.ProcessingTime))
		} else {
			without = append(without, ms(b.ProcessingTime))
		}
	}
	r.CheckpointP50MS, r.OtherP50MS, r.Checkpoints = median(with), median(without), len(with)
	return r, nil
}

// runState runs the program: a sum of each key, all of which begin with 0.
func (s *steady) runState(ctx context.Context, args ...string) error {
	var updates int64
	err := s.run(ctx, args, func(ssc *engine.StreamingContext) {
		pairs := kafka.Direct(ssc, kafka.Subscribe(s.topic), one)
		engine.ForEachBatch(engine.Count(sums(pairs, *s.keys)), func(_ engine.Batch, n []int64) error {
			updates += n[0]
			return nil
		})
	})
	var read int64
	for _, b := range s.ran {
		read += b.Records
	}
	if err == nil && updates < read {
		err = fmt.Errorf("%d records were read and %d updates made", read, updates)
	}
	return err
}

// sums adds up the values of each key in a state, and emits the sum. It begins with keys
// whose sum is 0.
func sums(pairs *engine.DStream[rdd.Pair[uint64, int64]], keys int) *engine.DStream[int64] {
	initial := make([]rdd.Pair[uint64, int64], keys)
	for i := range initial {
		initial[i].Key = uint64(i)
	}
	return engine.MapWithState(pairs, "sums", func(_ uint64, n *int64, s *engine.State[int64]) (int64, bool) {
		sum, _ := s.Get()
		s.Update(sum + *n)
		return sum + *n, true
	}, engine.InitialState(initial))
}

// savedStates notes when checkpoints were complete.
type savedStates struct {
	dir string
	at  map[uint64]time.Time // by batch
}

// look notes the checkpoints that are there.
func (s *savedStates) look(uint64) {
	manifests, _ := filepath.Glob(filepath.Join(s.dir, "state", "*", "*", "*.manifest")) // the pattern is right
	for _, path := range manifests {
		var seq uint64
		info, err := os.Stat(path)
		if _, bad := fmt.Sscanf(filepath.Base(path), "%d-", &seq); bad == nil && err == nil {
			s.at[seq] = info.ModTime()
		}
	}
}

// during reports whether a checkpoint was under way while a batch ran: one of its own, or
// of one before that wasn't complete yet.
func (s *savedStates) during(b steadyBatch) bool {
	for seq, at := range s.at {
		if seq == b.Seq || seq < b.Seq && b.began().Before(at) {
			return true
		}
	}
	return false
}
