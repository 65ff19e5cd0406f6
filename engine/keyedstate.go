package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/internal/state"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/files"
	"github.com/hibana-engine/hibana/rdd/keyed"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// version is a version of a partition of a keyed state: what a batch made of the one
// before, and what it emitted on the way. It never changes.
type version[K comparable, S any] struct {
	table *keyed.Table[K, S]
	out   any // []E
}

// Bytes implements rdd.Sized.
func (v version[K, S]) Bytes() int64 { return v.table.Bytes() }

// Copied implements rdd.Sized.
func (v version[K, S]) Copied() int64 { return v.table.Copied() }

// refers returns how many bytes a key and its value refer to, where that is known without
// reflection: of strings and byte slices.
func refers[K comparable, S any](k K, v S) int64 {
	var n int64
	if s, is := any(k).(string); is {
		n += int64(len(s))
	}
	switch v := any(v).(type) {
	case string:
		n += int64(len(v))
	case []byte:
		n += int64(cap(v))
	}
	return n
}

// step makes a version: it changes edit, reads in to its end and returns what is emitted.
// at is the batch's time in nanoseconds since 1970, the stamp of all that it puts.
type step[K comparable, S, I any] func(before *keyed.Table[K, S], edit *keyed.Edit[K, S], at int64, in iter.Seq2[I, error]) (out any, err error)

// stateSpec declares a keyed state.
type stateSpec[K comparable, S, I any] struct {
	name      string
	op        string
	step      step[K, S, I]
	functions []any
}

// keyedState is a keyed state of the program.
type keyedState[K comparable, S, I any] struct {
	stateSpec[K, S, I]
	in          *DStream[I] // spread by the keys, as the state is
	of          *plan.State
	codec       keyed.Codec[K, S]
	keys        keyed.Keys[K]
	initial     []rdd.Pair[K, S]
	partitioner rdd.Partitioner
}

// declareState declares the stream of the versions of a state, one element in each
// partition, over a stream that the options' partitioner has spread by the keys.
func declareState[K comparable, S, I any](in *DStream[I], o stateOptions, spec stateSpec[K, S, I]) *DStream[version[K, S]] {
	s := &keyedState[K, S, I]{stateSpec: spec, in: in, partitioner: o.partitioner}
	program := in.ssc.program
	var err error
	if s.codec, err = keyed.CodecFor[K, S](); err != nil {
		in.ssc.fail(spec.op, err)
	} else {
		s.keys = keyed.KeysOf(s.codec.Key)
	}
	if err := program.Graph.CheckState(spec.name); err != nil {
		in.ssc.fail(spec.op, fmt.Errorf("%w: %w", ErrState, err))
	}
	if pairs, ok := o.initial.([]rdd.Pair[K, S]); ok {
		s.initial = pairs
	} else if o.initial != nil {
		in.ssc.fail(spec.op, fmt.Errorf("%w: the initial state is a %T, the state holds %T", ErrState, o.initial, s.initial))
	}
	node := program.Graph.AddStream(plan.Declared(spec.op, spec.functions...), in.asParent())
	node.Recalls, node.Cached, node.Level = true, true, task.Pinned
	s.of = &plan.State{
		Declaration: node.Declaration, Name: spec.name, Stream: node.ID, Partitions: o.partitioner.Partitions(),
		Spread: spreadOf(o.partitioner),
		Types:  fmt.Sprintf("%s to %s", s.codec.KeyType, s.codec.ValueType),
	}
	if in.node.Back > 0 {
		s.of.Window = fmt.Sprintf(" over %s every %s", in.node.Back, in.node.Slide)
	}
	if program.Open(spec.op) {
		program.Graph.States = append(program.Graph.States, s.of)
	}
	d := &DStream[version[K, S]]{ssc: in.ssc, node: node}
	d.make = func(g *plan.Generation) *rdd.RDD[version[K, S]] { return s.at(g, d) }
	if program.Open(spec.op) {
		in.ssc.states[spec.name] = d
	}
	return d
}

// at returns the RDD of the versions of a batch: those that a checkpoint of the batch
// holds, if the state is made from there, or what becomes of those of the batch before.
func (s *keyedState[K, S, I]) at(g *plan.Generation, d *DStream[version[K, S]]) *rdd.RDD[version[K, S]] {
	c, begins := g.Checkpoint(s.name)
	if begins {
		return s.restored(g, *c)
	}
	var before *rdd.RDD[version[K, S]]
	if p := g.PreviousOf(s.name, d.node.Slide); p != nil {
		before = d.at(p)
	}
	alloc, root := g.Alloc, g.IsRoot()
	return rdd.Evolve(before, s.in.at(g), s.op, func(p rdd.Part, before []version[K, S], in iter.Seq2[I, error]) (version[K, S], error) {
		v, err := s.next(p, before, alloc, c, in)
		if err == nil && root {
			err = s.save(p, v, alloc)
		}
		return v, err
	}, s.functions...)
}

// next makes the version of a partition. c is the newest checkpoint.
func (s *keyedState[K, S, I]) next(p rdd.Part, before []version[K, S], a *plan.Allocation, c *plan.Checkpoint, in iter.Seq2[I, error]) (v version[K, S], err error) {
	var table *keyed.Table[K, S]
	if len(before) > 0 {
		table = before[0].table
	} else if table, err = s.first(p, a.TimeNanos); err != nil {
		return v, err
	}
	edit := table.Edit()
	if c != nil {
		edit.ForgetRemovals(c.TimeNanos)
	}
	if v.out, err = s.step(table, edit, a.TimeNanos, in); err != nil {
		return v, err
	}
	v.table = edit.Commit()
	return v, nil
}

// first returns the table with which a partition begins.
func (s *keyedState[K, S, I]) first(p rdd.Part, at int64) (*keyed.Table[K, S], error) {
	place, err := rdd.Placer[K](s.partitioner)
	if err != nil {
		return nil, err
	}
	edit := s.empty().Edit()
	for _, pair := range s.initial {
		to, err := place(pair.Key)
		if err != nil {
			return nil, err
		}
		if to == p.Index {
			edit.Put(pair.Key, pair.Value, at-1)
		}
	}
	return edit.Commit(), nil
}

func (s *keyedState[K, S, I]) empty() *keyed.Table[K, S] { return keyed.New(s.keys, refers[K, S]) }

// save has a version saved, if the batch's allocation says so.
func (s *keyedState[K, S, I]) save(p rdd.Part, v version[K, S], a *plan.Allocation) error {
	saved := a.State(s.name)
	if saved == nil || saved.Save == plan.NoSave {
		return nil
	}
	tc := p.Task()
	saver, err := state.SaverOf(tc.Process)
	if err != nil {
		return err
	}
	job := &state.Version{State: s.name, Seq: a.Seq, Partition: p.Index, Kind: saved.Save, Epoch: tc.Epoch}
	h := s.header(p.Index, a.TimeNanos)
	if c := saved.Newest(a.Seq); c != nil && saved.Save == plan.SaveDelta {
		job.Since, h.Base, h.Since = c.Seq, false, c.TimeNanos
	}
	job.Encode = func() ([]byte, error) {
		var b bytes.Buffer
		if h.Base {
			err := s.codec.WriteBase(&b, h, v.table)
			return b.Bytes(), err
		}
		err := s.codec.WriteDelta(&b, h, v.table, h.Since)
		return b.Bytes(), err
	}
	saver.Save(job)
	return nil
}

// owned makes what a state keeps own the strings and bytes in it: what tasks are given may
// be parts of large blocks.
type owned[K comparable, S any] struct {
	key   func(*K) // nil where there is nothing to do
	value func(*S)
}

func newOwned[K comparable, S any]() owned[K, S] {
	return owned[K, S]{rdd.Owning[K](), rdd.Owning[S]()}
}

// put puts a value under a key, which is there already or not.
func (o *owned[K, S]) put(edit *keyed.Edit[K, S], k K, value S, there bool, at int64) {
	if o.key != nil && !there {
		k = ownedCopy(k, o.key)
	}
	if o.value != nil {
		value = ownedCopy(value, o.value)
	}
	edit.Put(k, value, at)
}

// ownedCopy is a function of its own, so that values with nothing to own stay on the stack.
func ownedCopy[T any](v T, own func(*T)) T {
	own(&v)
	return v
}

// header says what a file of the state holds.
func (s *keyedState[K, S, I]) header(partition int, until int64) keyed.Header {
	return keyed.Header{
		Table: s.name, Partition: partition, Partitions: s.of.Partitions,
		Key: s.codec.KeyType, Value: s.codec.ValueType, Base: true, Until: until,
	}
}

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
	for _, damage := range []error{keyed.ErrCorrupt, keyed.ErrTruncated, keyed.ErrNotTable, keyed.ErrSequence, keyed.ErrOtherTable, files.ErrMissing} {
		if errors.Is(err, damage) {
			return r.store.Unreadable(r.state, r.checkpoint, r.at, err)
		}
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
	table, _, err := s.codec.Build(s.empty(), s.header(partition, r.checkpoint.TimeNanos), in...)
	if err == nil {
		err = s.checkPlaces(table, partition)
	}
	return table, err
}

// checkPlaces makes sure that the keys of a partition belong there: a partitioner may have
// changed without saying so.
func (s *keyedState[K, S, I]) checkPlaces(table *keyed.Table[K, S], partition int) error {
	place, err := rdd.Placer[K](s.partitioner)
	if err != nil {
		return err
	}
	table.All(func(k K, _ S, _ int64) bool {
		to := partition
		if to, err = place(k); err == nil && to != partition {
			err = fmt.Errorf("%w: key %.100v was saved in partition %d, the program's %T places it in %d: give the partitioner a method String that tells it from the one before",
				ErrState, k, partition, s.partitioner, to)
		}
		return err == nil
	})
	return err
}

// spreadOf tells a partitioner from others: by what its String says, else by its type and
// what it holds.
func spreadOf(p rdd.Partitioner) string {
	if _, ok := p.(fmt.Stringer); ok {
		return lineage.PartitionerName(p)
	}
	return fmt.Sprintf("%s %+v", lineage.PartitionerName(p), p)
}

// respread makes a partition of a state that was saved in another number of partitions, or
// spread otherwise.
func (s *keyedState[K, S, I]) respread(r *restoring, partition int, m *state.Manifest) (*keyed.Table[K, S], error) {
	place, err := rdd.Placer[K](s.partitioner)
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
	return &h, s.codec.Read(in, func(k K, v S, stamp int64) error {
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

// StateSnapshots yields, in each batch, every key of a state with its value, in no
// particular order: what [MapWithState] holds under the name, declared before it. (Spark:
// stateSnapshots.)
func StateSnapshots[K comparable, S any](ssc *StreamingContext, name string) *DStream[rdd.Pair[K, S]] {
	const op = "stateSnapshots"
	versions, ok := ssc.states[name].(*DStream[version[K, S]])
	switch {
	case ssc.states[name] == nil:
		ssc.fail(op, fmt.Errorf("%w: nothing before has a state %q", ErrState, name))
	case !ok:
		var pair rdd.Pair[K, S]
		ssc.fail(op, fmt.Errorf("%w: state %q doesn't hold %T", ErrState, name, pair))
	}
	if !ok {
		return QueueStream[rdd.Pair[K, S]](ssc, nil, 1) // so that the program can be read to its end
	}
	return entries(versions, op)
}

// entries yields what each version of a state holds.
func entries[K comparable, S any](versions *DStream[version[K, S]], op string) *DStream[rdd.Pair[K, S]] {
	return derive(versions, op, func(_ *plan.Generation, r *rdd.RDD[version[K, S]]) *rdd.RDD[rdd.Pair[K, S]] {
		return rdd.FlatMapSeq(r, func(v version[K, S]) iter.Seq[rdd.Pair[K, S]] {
			return func(yield func(rdd.Pair[K, S]) bool) {
				v.table.All(func(k K, s S, _ int64) bool { return yield(rdd.KV(k, s)) })
			}
		})
	})
}
