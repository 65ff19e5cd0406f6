package state

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/wire"
	"github.com/hibana-engine/hibana/rdd/task"
)

// Saver writes versions of states on an executor: beside its tasks one at a time, and those
// that tasks wait for, of which two are in memory at once.
//
// THREADING: all methods are safe for concurrent use. The goroutine run is started with
// the first version to save and ended, and waited for, by Close.
type Saver struct {
	store *Store // nil for a job without states
	ctx   context.Context
	stop  context.CancelFunc
	work  sync.WaitGroup
	turns chan struct{} // taken by those that tasks wait for

	mu      sync.Mutex
	running bool
	waiting []*Version             // in the order in which they came, one of a partition at most
	reports map[partition]*pending // what wasn't acknowledged
	memory  *Report                // of the memory that states take, nil for nothing to say
	crowded bool                   // they take more than there is room for
}

// pending is a report that isn't acknowledged.
type pending struct {
	Report
	told uint64 // the batch with whose tasks it was sent last
}

// partition names a partition of a state.
type partition struct {
	state string
	index int
}

// Version is a version of a partition of a state that is to be saved.
type Version struct {
	State     string
	Seq       uint64 // of the batch
	Partition int
	Kind      plan.SaveKind
	Since     uint64 // of the checkpoint that a delta follows
	Epoch     uint64
	Encode    func() ([]byte, error) // the contents of its file
}

// Report says that a version of a partition of a state is saved, or why it isn't.
type Report struct {
	State     string        `msgpack:"s"`
	Seq       uint64        `msgpack:"q"`
	Partition int           `msgpack:"p"`
	Kind      plan.SaveKind `msgpack:"k"`
	Since     uint64        `msgpack:"d"` // of the checkpoint that a delta follows
	File      File          `msgpack:"f"`
	Failure   string        `msgpack:"e,omitempty"`

	// Instead of all that: how much memory the states of an executor take, if Room isn't 0,
	// and how much there is for them.
	Held int64 `msgpack:"h,omitempty"`
	Room int64 `msgpack:"m,omitempty"`
}

// Memory notes how much memory states take, for the next reports. What there is room for
// is noted once only.
func (s *Saver) Memory(held, room int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	crowded := held > room
	if crowded || s.crowded {
		s.memory = &Report{Held: held, Room: max(1, room)}
	}
	s.crowded = crowded
}

// NewSaver returns a saver that writes to a store, which it closes.
func NewSaver(store *Store) *Saver {
	s := &Saver{store: store, turns: make(chan struct{}, 2), reports: make(map[partition]*pending)}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// saverKey finds the saver among a process's resources.
type saverKey struct{}

// Install makes s the saver of a process, which closes it.
func (s *Saver) Install(p *task.Process) error {
	_, err := p.Resource(saverKey{}, func() (any, func() error, error) { return s, s.Close, nil })
	return err
}

// SaverOf returns the saver of the process that a task runs in.
func SaverOf(p *task.Process) (*Saver, error) {
	v, err := p.Resource(saverKey{}, func() (any, func() error, error) { return nil, nil, ErrNoStore })
	if err != nil {
		return nil, err
	}
	return v.(*Saver), nil
}

// Store returns where checkpoints are; an error if the job has no place for them.
func (s *Saver) Store() (*Store, error) {
	if s.store == nil {
		return nil, ErrNoStore
	}
	return s.store, nil
}

// Save has a version saved, in place of an earlier one of its partition that waits. It
// doesn't block.
func (s *Saver) Save(v *Version) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store == nil || s.ctx.Err() != nil {
		return
	}
	s.waiting = slices.DeleteFunc(s.waiting, func(w *Version) bool { return w.State == v.State && w.Partition == v.Partition })
	s.waiting = append(s.waiting, v)
	if !s.running {
		s.running = true
		s.work.Go(s.run)
	}
}

// run saves what waits until nothing does.
func (s *Saver) run() {
	for {
		s.mu.Lock()
		if len(s.waiting) == 0 || s.ctx.Err() != nil {
			s.running = false
			s.mu.Unlock()
			return
		}
		v := s.waiting[0]
		s.waiting = slices.Delete(s.waiting, 0, 1)
		s.mu.Unlock()
		s.note(s.save(s.ctx, v))
	}
}

// SaveNow saves a version, and returns when that is done or has failed: the report, which
// goes with the task's success, says which. It is an error that ctx ends before.
func (s *Saver) SaveNow(ctx context.Context, v *Version) error {
	if s.store == nil {
		return ErrNoStore
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	select {
	case s.turns <- struct{}{}:
		defer func() { <-s.turns }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	r := s.save(ctx, v)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.note(r)
	return nil
}

// note keeps a report for the driver, unless there is one of a later batch.
func (s *Saver) note(r Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := partition{r.State, r.Partition}
	if there := s.reports[of]; there == nil || there.Seq <= r.Seq {
		s.reports[of] = &pending{Report: r}
	}
}

// save writes the file of a version.
func (s *Saver) save(ctx context.Context, v *Version) Report {
	r := Report{State: v.State, Seq: v.Seq, Partition: v.Partition, Kind: v.Kind, Since: v.Since}
	data, err := v.Encode()
	if err == nil {
		r.File, err = s.store.write(ctx, v.State, fmt.Sprintf("%012d-%d-%d-%s.state", v.Seq, v.Epoch, v.Partition, rand.Text()[:8]), data)
	}
	if err != nil {
		r.Failure = err.Error()
	}
	return r
}

// Reports returns what was saved and isn't acknowledged, encoded for the driver, for one
// task of a batch: others are given nothing. What the driver misses it is told with the
// next batch.
func (s *Saver) Reports(batch uint64) (notes [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.memory != nil {
		if b, err := wire.Encode(s.memory); err == nil {
			notes = append(notes, b)
		}
		s.memory = nil
	}
	for _, r := range s.reports {
		if r.told >= batch {
			continue
		}
		if b, err := wire.Encode(&r.Report); err == nil {
			r.told = batch
			notes = append(notes, b)
		}
	}
	return notes
}

// Acknowledge drops the reports of checkpoints that are complete, as an allocation says.
func (s *Saver) Acknowledge(a *plan.Allocation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p, r := range s.reports {
		if c := a.State(p.state).Newest(a.Seq); c != nil && c.Seq >= r.Seq {
			delete(s.reports, p)
		}
	}
}

// Close ends saving, also what is under way, and closes the store.
func (s *Saver) Close() error {
	s.stop()
	s.work.Wait()
	if s.store == nil {
		return nil
	}
	return s.store.Close()
}
