package engine

import (
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/internal/state"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/keyed"
	"github.com/hibana-engine/hibana/rdd/task"
)

// restored returns the RDD of the versions that a checkpoint holds.
func (s *keyedState[K, S, I]) restored(g *plan.Generation, c plan.Checkpoint) *rdd.RDD[version[K, S]] {
	return rdd.Source(g.RDDs, s.op, s.of.Site, s.of.Partitions, func(tc *task.Context, partition int) iter.Seq2[version[K, S], error] {
		return func(yield func(version[K, S], error) bool) {
			table, err := s.restore(tc, partition, c)
			if err != nil {
				err = fmt.Errorf("restoring partition %d of state %q from the checkpoint of batch %d: %w", partition, s.name, c.Seq, err)
			}
			yield(version[K, S]{table: table}, err)
		}
	})
}

// restore reads a partition of a checkpoint.
func (s *keyedState[K, S, I]) restore(tc *task.Context, partition int, c plan.Checkpoint) (*keyed.Table[K, S], error) {
	saver, err := state.SaverOf(tc.Process)
	if err != nil {
		return nil, err
	}
	store, err := saver.Store()
	if err != nil {
		return nil, err
	}
	m, err := store.ReadManifest(tc, s.name, c)
	if err != nil {
		return nil, err
	}
	r := &restoring{tc: tc, store: store, state: s.name, checkpoint: c}
	var table *keyed.Table[K, S]
	if len(m.Partitions) == s.of.Partitions && m.Spread == s.of.Spread {
		table, err = s.rebuild(r, partition, m)
	} else {
		table, err = s.respread(r, partition, m)
	}
	return table, errors.Join(r.explained(err), r.close())
}

// restoring reads the files of a checkpoint.
type restoring struct {
	tc         *task.Context
	store      *state.Store
	state      string
	checkpoint plan.Checkpoint
	files      []io.Closer
	at         string // the file that was read last
}

// restoredFile is a file of a checkpoint.
type restoredFile struct {
	io.ReadCloser
	r    *restoring
	name string
}

// open opens a file.
func (r *restoring) open(f state.File) (io.Reader, error) {
	r.at = f.Name
	in, err := r.store.Open(r.tc, r.state, f)
	if err != nil {
		return nil, err
	}
	r.files = append(r.files, in)
	return restoredFile{in, r, f.Name}, nil
}

// Read implements io.Reader.
func (f restoredFile) Read(p []byte) (int, error) {
	f.r.at = f.name
	return f.ReadCloser.Read(p)
}

// explained returns an error of reading with the file that it comes of.
func (r *restoring) explained(err error) error {
	if state.IsDamage(err) {
		return r.store.Unreadable(r.state, r.checkpoint, r.at, err)
	}
	return err
}

// close closes the files.
func (r *restoring) close() (err error) {
	for _, f := range r.files {
		err = errors.Join(err, f.Close())
	}
	return err
}

// rebuild makes a partition of its files.
func (s *keyedState[K, S, I]) rebuild(r *restoring, partition int, m *state.Manifest) (*keyed.Table[K, S], error) {
	var in []io.Reader
	for _, f := range m.Partitions[partition].Files {
		file, err := r.open(f)
		if err != nil {
			return nil, err
		}
		in = append(in, file)
	}
	table, _, err := s.layout.codec.Build(s.empty(), s.header(partition, r.checkpoint.TimeNanos), in...)
	if err == nil {
		err = s.checkPlaces(table, partition)
	}
	return table, err
}

// checkPlaces makes sure that the keys of a partition belong there: a partitioner may have
// changed without saying so.
func (s *keyedState[K, S, I]) checkPlaces(table *keyed.Table[K, S], partition int) error {
	place, err := s.layout.place(s.partitioner)
	if err != nil {
		return err
	}
	table.All(func(k K, _ S, _ int64) bool {
		var to int
		if to, err = place(k); err == nil && to != partition {
			err = fmt.Errorf("%w: key %.100v was saved in partition %d, the program's %T places it in %d: give the partitioner a method String that tells it from the one before",
				ErrState, k, partition, s.partitioner, to)
		}
		return err == nil
	})
	return err
}

// respread makes a partition of a state that was saved in another number of partitions, or
// spread otherwise.
func (s *keyedState[K, S, I]) respread(r *restoring, partition int, m *state.Manifest) (*keyed.Table[K, S], error) {
	place, err := s.layout.place(s.partitioner)
	if err != nil {
		return nil, err
	}
	edit := s.empty().Edit()
	belongs := func(k K) (bool, error) {
		to, err := place(k)
		return to == partition, err
	}
	for i, saved := range m.Partitions {
		want := s.header(i, 0)
		want.Partitions = len(m.Partitions)
		var last *keyed.Header
		for _, f := range saved.Files {
			if last, err = s.sift(r, f, want, last, belongs, edit); err != nil {
				return nil, err
			}
		}
	}
	edit.ForgetRemovals(m.TimeNanos)
	return edit.Commit(), nil
}

// sift reads what a file, which follows another one, holds of the keys that belong to a
// partition. It returns the file's header.
func (s *keyedState[K, S, I]) sift(r *restoring, f state.File, want keyed.Header, last *keyed.Header, belongs func(K) (bool, error), edit *keyed.Edit[K, S]) (*keyed.Header, error) {
	file, err := r.open(f)
	if err != nil {
		return nil, err
	}
	in, err := keyed.NewReader(file)
	if err != nil {
		return nil, err
	}
	h := in.Header()
	if err := h.Follows(want, last); err != nil {
		return nil, err
	}
	return &h, s.layout.codec.Read(in, func(k K, v S, stamp int64) error {
		ok, err := belongs(k)
		if ok {
			edit.Put(k, v, stamp)
		}
		return err
	}, func(k K, stamp int64) error {
		edit.Remove(k, stamp)
		return nil
	})
}
