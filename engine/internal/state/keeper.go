package state

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/wire"
)

// Keeper decides, on the driver, when states are saved, and says in each allocation where
// they are. It is a participant of the job's batches.
//
// THREADING: after Open all methods are safe for concurrent use. run is a goroutine of the
// driver's.
type Keeper struct {
	Config
	epoch uint64
	names []string
	wake  chan struct{} // holds a token when run has something to do

	opened chan struct{} // closed when Open has taken over what there is

	mu      sync.Mutex
	states  map[string]*kept
	planned uint64        // the newest batch
	news    chan struct{} // closed, and replaced, when there is another checkpoint

	ending bool // the last batch is complete

	crowded bool // it was said that states take too much memory
}

// Config says what a keeper works with.
type Config struct {
	States   []*plan.State
	Slides   func(stream int32) time.Duration // of a state's stream
	Numbers  *plan.Numbers
	Store    *Store
	Interval time.Duration // between checkpoints of a state
	Batches  int           // or so many batches, what comes first
	Troubles *plan.Troubles
	Log      *slog.Logger
}

// kept is what the keeper knows of one state.
type kept struct {
	*plan.State
	checkpoints []plan.Checkpoint // that allocations name
	manifests   []*Manifest       // of those, in their order
	lost        error             // why a checkpoint that the newest batch named isn't among them, nil if all are

	began    time.Time     // of the batch that is being saved
	batches  int           // since then
	patience time.Duration // how long a save may take, in batch times, before it is given up
	saving   *Manifest     // of which Partitions are filled as reports come; nil if nothing is saved
	missing  int
	failure  string // of the newest save that failed
	whole    bool   // it is to be written
	sweep    bool   // files are to be removed

	leaving []leaving // checkpoints that are unneeded, and that batches may still name
	asked   uint64    // a checkpoint of this batch, or a later one, is waited for
	held    []*held   // checkpoints that are read
}

// leaving is a checkpoint that no batch begins from any more.
type leaving struct {
	checkpoint plan.Checkpoint
	manifest   *Manifest
	since      uint64 // the first batch that doesn't name it, 0 if none was planned yet
}

// NewKeeper returns a keeper that is to be opened.
func NewKeeper(c Config) *Keeper {
	return &Keeper{Config: c, wake: make(chan struct{}, 1), news: make(chan struct{}), opened: make(chan struct{}), states: make(map[string]*kept)}
}

// Open takes over the checkpoints that the newest batch named.
func (k *Keeper) Open(ctx context.Context, epoch uint64, before *plan.LogState) error {
	k.epoch = epoch
	if before.Last != nil {
		k.planned = before.Last.Seq
	}
	for _, s := range k.States {
		st := &kept{State: s}
		k.states[s.Name] = st
		k.names = append(k.names, s.Name)
		if len(before.Past) > 0 {
			st.began = before.Past[0].Time()
		}
		if before.Last == nil || before.Last.State(s.Name) == nil {
			continue
		}
		var lost []lostCheckpoint
		for _, c := range before.Last.State(s.Name).Checkpoints {
			err := k.takeOver(ctx, st, c)
			if IsDamage(err) {
				lost = append(lost, lostCheckpoint{c.Seq, err})
				st.lost = err
			} else if err != nil {
				return fmt.Errorf("state %s: %w", s.Name, err)
			}
		}
		if err := k.takeOverLast(ctx, st, before); IsDamage(err) {
			lost = append(lost, lostCheckpoint{before.Last.Seq, err})
		} else if err != nil {
			return fmt.Errorf("state %s: %w", s.Name, err)
		}
		for _, p := range before.Incomplete { // some were planned by a driver that didn't know what was lost
			p.Allocation.KeepCheckpoints(s.Name, st.checkpoints)
		}
		if err := st.begins(before); err != nil {
			return err
		}
		k.tell(st, lost)
	}
	close(k.opened)
	return nil
}

// lostCheckpoint is one that can't be read.
type lostCheckpoint struct {
	seq uint64
	err error
}

// takeOver takes over a checkpoint whose files are there as long as they were written: what
// is in them is checked when a task reads them.
func (k *Keeper) takeOver(ctx context.Context, s *kept, c plan.Checkpoint) error {
	m, err := k.Store.ReadManifest(ctx, s.Name, c)
	if err == nil {
		err = k.Store.look(ctx, m, c)
	}
	if err != nil {
		return err
	}
	return s.add(c, m)
}

// add adds a checkpoint, which is newer than those that are there.
func (s *kept) add(c plan.Checkpoint, m *Manifest) error {
	if m.Types != s.Types {
		return fmt.Errorf("declared at %s: %w: its checkpoint holds %s, the program wants %s; give the state another name, or %s",
			s.Site, plan.ErrOtherProgram, m.Types, s.Types, plan.BeginAnew)
	}
	s.checkpoints, s.manifests = append(s.checkpoints, c), append(s.manifests, m)
	s.began = time.Unix(0, c.TimeNanos)
	return nil
}

// tell says which checkpoints of a state are lost. One that is older than what the job
// begins from is a smaller trouble.
func (k *Keeper) tell(s *kept, lost []lostCheckpoint) {
	for _, l := range lost {
		if l.seq < s.newest() {
			k.Log.Warn("an old checkpoint of a state can't be read; the job goes on from a newer one, which is there", "state", s.Name, "batch", l.seq, "err", l.err)
			continue
		}
		k.Troubles.Set("state "+s.Name, fmt.Sprintf("state %s: the checkpoint of batch %d is lost: %s", s.Name, l.seq, l.err))
		k.Log.Error("a checkpoint of a state is lost; the job goes on from the one before", "state", s.Name, "batch", l.seq, "err", l.err)
	}
}

// begins returns an error if checkpoints are lost and the batches since the one before
// aren't known any more.
func (s *kept) begins(before *plan.LogState) error {
	from := uint64(0)
	if n := len(s.checkpoints); n > 0 {
		from = s.checkpoints[n-1].Seq
	}
	if s.lost == nil || before.First() <= from+1 {
		return nil
	}
	return fmt.Errorf("state %s: %w: %w; the batches since an earlier checkpoint aren't in the log any more: put the file back, or %s; the state is lost then",
		s.Name, ErrLost, s.lost, plan.BeginAnew)
}

// Ready doesn't wait.
func (k *Keeper) Ready(context.Context) error { return nil }

// Plan writes into an allocation where states are saved, and which of them are to be.
func (k *Keeper) Plan(a *plan.Allocation) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.planned = a.Seq
	for _, name := range k.names {
		s := k.states[name]
		saved := plan.SavedState{Name: name, Begins: k.Numbers.Begin(name), Checkpoints: slices.Clone(s.checkpoints)}
		for i := range s.leaving {
			if l := &s.leaving[i]; l.since == 0 {
				l.since = a.Seq
			}
		}
		if plan.OnSlide(a.Time(), k.Slides(s.Stream)) {
			saved.Save = k.due(s, a)
		}
		a.States = append(a.States, saved)
	}
}

// due says how the version of a batch is to be saved. mu is held.
func (k *Keeper) due(s *kept, a *plan.Allocation) plan.SaveKind {
	if s.batches++; s.began.IsZero() {
		s.began = a.Time()
	}
	took := a.Time().Sub(s.began)
	if s.batches < k.Batches && took < k.Interval && s.newest() >= s.asked || s.whole || s.saving != nil && took < k.patienceWith(s) {
		return plan.NoSave
	}
	if s.saving != nil {
		k.giveUp(s)
	}
	s.began, s.batches = a.Time(), 0
	s.begin(a)
	if n := len(s.manifests); n == 0 || s.wantsBase(s.manifests[n-1]) {
		return plan.SaveBase
	}
	return plan.SaveDelta
}

// begin begins to save the version of a batch. mu is held.
func (s *kept) begin(a *plan.Allocation) {
	s.saving = &Manifest{
		State: s.Name, Seq: a.Seq, TimeNanos: a.TimeNanos, Types: s.Types, Spread: s.Spread,
		Partitions: make([]SavedPartition, s.Partitions), Planner: a.Epoch,
	}
	s.missing = s.Partitions
}

// leastPatience is how often the time between two checkpoints, or two versions of a state,
// a save may take, the first time.
const leastPatience = 3

// patienceWith returns how long a save of a state may take before it is given up. mu is
// held.
func (k *Keeper) patienceWith(s *kept) time.Duration {
	return max(s.patience, leastPatience*max(k.Interval, k.Slides(s.Stream)))
}

// giveUp gives up a save of which reports are missing: executors died, or are slow. The
// next one may take longer. mu is held.
func (k *Keeper) giveUp(s *kept) {
	s.patience = 2 * k.patienceWith(s)
	why := fmt.Sprintf("the version of batch %d isn't saved: %d of %d partitions are missing", s.saving.Seq, s.missing, s.Partitions)
	k.Troubles.Set("state "+s.Name, fmt.Sprintf("state %s: %s", s.Name, why))
	k.Log.Warn("a state is saved once more: "+why, "state", s.Name)
	s.saving = nil
}

// maxDeltas is how many deltas follow a base.
const maxDeltas = 16

// wantsBase reports whether the next checkpoint isn't to build on one: it has other
// partitions, or its deltas outweigh its base.
func (s *kept) wantsBase(m *Manifest) bool {
	base, deltas := m.Size()
	return len(m.Partitions) != s.Partitions || m.Spread != s.Spread || deltas > base || len(m.Partitions[0].Files) > maxDeltas
}

// Heard takes what executors report.
func (k *Keeper) Heard(notes [][]byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, note := range notes {
		var r Report
		if err := wire.Decode(note, &r); err != nil {
			k.Log.Error("an executor's report of a checkpoint can't be read", "err", err)
			continue
		}
		if r.Room > 0 {
			k.remember(&r)
		} else {
			k.take(&r)
		}
	}
}

// remember says that states take more memory than there is for them, or that they don't
// any more. mu is held.
func (k *Keeper) remember(r *Report) {
	const about = "memory of states"
	if r.Held <= r.Room {
		k.Troubles.Set(about, "")
		return
	}
	what := fmt.Sprintf("the states of an executor take %d MiB, there are %d MiB for them: shuffles and what is cached go to disk, and the process may run out of memory; raise executor.memory or give the job more executors",
		r.Held>>20, r.Room>>20)
	if k.Troubles.Set(about, what); !k.crowded {
		k.crowded = true
		k.Log.Warn(what)
	}
}

// take takes one report. mu is held.
func (k *Keeper) take(r *Report) {
	s := k.states[r.State]
	if s == nil || s.saving == nil || s.saving.Seq != r.Seq || r.Partition < 0 || r.Partition >= s.Partitions || s.saving.Partitions[r.Partition].Files != nil {
		return
	}
	about := "state " + s.Name
	if r.Failure != "" {
		k.Troubles.Set(about, fmt.Sprintf("state %s can't be saved: %s", s.Name, r.Failure))
		if s.failure = r.Failure; !k.ending {
			k.Log.Error("a state can't be saved; it is tried again", "state", s.Name, "batch", r.Seq, "partition", r.Partition, "err", r.Failure)
		}
		s.saving = nil
		return
	}
	var list []File
	if r.Kind == plan.SaveDelta {
		i := slices.IndexFunc(s.checkpoints, func(c plan.Checkpoint) bool { return c.Seq == r.Since })
		if i < 0 {
			return // it builds on what was dropped
		}
		if m := s.manifests[i]; len(m.Partitions) != s.Partitions || m.Spread != s.Spread {
			return // as a driver before wanted it, whose program spread the state otherwise
		}
		list = slices.Clone(s.manifests[i].Partitions[r.Partition].Files)
	}
	s.saving.Partitions[r.Partition].Files = append(list, r.File)
	if s.missing--; s.missing == 0 {
		k.Troubles.Set(about, "")
		s.whole = true
		k.stir()
	}
}

// stir wakes run.
func (k *Keeper) stir() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// Completed drops the checkpoints that no batch begins from any more. Their files go when
// a batch is complete that doesn't name them: then neither does the newest one in the log,
// with which the next driver begins.
func (k *Keeper) Completed(seq, keep uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.states {
		left := len(s.leaving)
		s.leaving = slices.DeleteFunc(s.leaving, func(l leaving) bool { return l.since > 0 && l.since <= seq })
		if len(s.leaving) < left {
			s.sweep = true
			k.stir()
		}
		for len(s.checkpoints) > 1 && s.checkpoints[1].Seq <= keep {
			s.leaving = append(s.leaving, leaving{checkpoint: s.checkpoints[0], manifest: s.manifests[0]})
			s.checkpoints, s.manifests = s.checkpoints[1:], s.manifests[1:]
		}
	}
}

// Run writes manifests and removes files that aren't needed, until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	for {
		select {
		case <-k.wake:
		case <-ctx.Done():
			return
		}
		for _, name := range k.names {
			if err := k.tidy(ctx, k.states[name]); err != nil && ctx.Err() == nil {
				k.Troubles.Set("state "+name, fmt.Sprintf("state %s can't be saved: %s", name, err))
				k.Log.Error("a state can't be saved; it is tried again", "state", name, "err", err)
			}
		}
	}
}

// tidy does what is to be done for a state.
func (k *Keeper) tidy(ctx context.Context, s *kept) error {
	k.mu.Lock()
	sweep := s.sweep
	s.sweep = false
	k.mu.Unlock()
	if err := k.write(ctx, s); err != nil {
		return err
	}
	if !sweep {
		return nil
	}
	if err := k.sweep(ctx, s); err != nil && ctx.Err() == nil { // it is tried again with the next
		k.Log.Warn("files of checkpoints that aren't needed can't be removed", "state", s.Name, "err", err)
	}
	return nil
}

// write writes the manifest of what is saved whole.
func (k *Keeper) write(ctx context.Context, s *kept) error {
	k.mu.Lock()
	m, whole := s.saving, s.whole
	k.mu.Unlock()
	if !whole {
		return nil
	}
	name, err := k.Store.writeManifest(ctx, m, k.epoch)
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil && ctx.Err() != nil {
		return err // it is written at the stream's end
	}
	if s.whole, s.saving = false, nil; err == nil {
		s.checkpoints = append(s.checkpoints, plan.Checkpoint{Seq: m.Seq, TimeNanos: m.TimeNanos, Manifest: name})
		s.manifests = append(s.manifests, m)
		close(k.news)
		k.news = make(chan struct{})
	}
	return err
}

// sweep removes files of checkpoints that are gone, or that came to nothing.
func (k *Keeper) sweep(ctx context.Context, s *kept) error {
	k.mu.Lock()
	inUse := make(map[string]bool)
	for i, c := range s.checkpoints {
		s.manifests[i].names(inUse, c)
	}
	for _, l := range s.leaving {
		l.manifest.names(inUse, l.checkpoint)
	}
	for _, h := range s.held {
		h.manifest.names(inUse, h.checkpoint)
	}
	until := s.newest()
	k.mu.Unlock()
	return k.Store.sweep(ctx, s.Name, until, k.epoch, inUse)
}

// Close has nothing to close: the store is its owner's.
func (k *Keeper) Close() {}
