package engine

import (
	"fmt"
	"iter"
	"reflect"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/keyed"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// version is a version of a partition of a keyed state: what a batch made of the one
// before, and what it emitted on the way. It never changes.
type version[K comparable, S any] struct {
	table *keyed.Table[K, S]
	due   *keyed.Table[K, struct{}] // what of it ends, and when; nil if the state has no use for it, or it isn't known yet
	out   any                       // []E
}

// step makes a version: it changes edit, reads in to its end and returns the version
// without its table. at is the batch's time in nanoseconds since 1970, the stamp of all that
// it puts.
type step[K comparable, S, I any] func(before version[K, S], edit *keyed.Edit[K, S], at int64, in iter.Seq2[I, error]) (version[K, S], error)

// begin puts into the first version of a partition what it begins with; at is the time of
// the state's first batch.
type begin[K comparable, S any] func(p rdd.Part, edit *keyed.Edit[K, S], at int64) error

// layout is how a state's table keeps its keys and values.
type layout[K comparable, S any] struct {
	codec keyed.Codec[K, S]
	keys  keyed.Keys[K]
	size  func(K, S) int64                                    // see keyed.New
	place func(rdd.Partitioner) (func(K) (int, error), error) // what finds a key's partition
}

// plainLayout is the layout of keys and values as they are.
func plainLayout[K comparable, S any]() (l layout[K, S], err error) {
	if l.codec, err = keyed.CodecFor[K, S](); err == nil {
		l.keys, l.size, l.place = keyed.KeysOf(l.codec.Key), refers[K, S], rdd.Placer[K]
	}
	return l, err
}

// stateSpec declares a keyed state.
type stateSpec[K comparable, S, I any] struct {
	name      string
	op        string
	step      step[K, S, I]
	functions []any
	begin     begin[K, S]                  // fills what it begins with, nil for the pairs of InitialState
	lay       func() (layout[K, S], error) // lays it out, nil for plainLayout
	holds     []plan.LoggedVariable        // of each key, if that is several
	stored    []plan.Stored                // the types of what these hold, and of the keys; nil for K and S
}

// keyedState is a keyed state of the program.
type keyedState[K comparable, S, I any] struct {
	stateSpec[K, S, I]
	in          *DStream[I] // spread by the keys, as the state is
	of          *plan.State
	layout      layout[K, S]
	initial     []rdd.Pair[K, S]
	partitioner rdd.Partitioner
}

// declareState declares the stream of the versions of a state, one element in each
// partition, over a stream that the options' partitioner has spread by the keys.
func declareState[K comparable, S, I any](in *DStream[I], o stateOptions, spec stateSpec[K, S, I]) *DStream[version[K, S]] {
	s := &keyedState[K, S, I]{stateSpec: spec, in: in, partitioner: o.partitioner}
	program := in.ssc.program
	if spec.lay == nil {
		spec.lay = plainLayout[K, S]
	}
	var err error
	if s.layout, err = spec.lay(); err != nil {
		in.ssc.fail(spec.op, err)
	}
	if err := program.Graph.CheckState(spec.name); err != nil {
		in.ssc.fail(spec.op, fmt.Errorf("%w: %w", ErrState, err))
	}
	if pairs, ok := o.initial.([]rdd.Pair[K, S]); ok {
		s.initial = pairs
	} else if o.initial != nil {
		in.ssc.fail(spec.op, fmt.Errorf("%w: the initial state is a %T, the state holds %T", ErrState, o.initial, s.initial))
	}
	if spec.stored == nil {
		spec.stored = []plan.Stored{{What: "key", Type: reflect.TypeFor[K]()}, {Type: reflect.TypeFor[S]()}}
	}
	node := program.Graph.AddStream(plan.Declared(spec.op, spec.functions...), in.asParent())
	node.Cached, node.Level = true, task.Pinned
	s.of = &plan.State{
		Declaration: node.Declaration, Name: spec.name, Stream: node.ID, Partitions: o.partitioner.Partitions(),
		Spread: spreadOf(o.partitioner),
		Types:  fmt.Sprintf("%s to %s", s.layout.codec.KeyType, s.layout.codec.ValueType),
		Holds:  spec.holds,
		Stored: spec.stored,
	}
	if in.node.Back > 0 {
		s.of.Window = fmt.Sprintf(" over %s every %s", in.node.Back, in.node.Slide)
	}
	if program.Open(spec.op) {
		program.Graph.States = append(program.Graph.States, s.of)
	}
	d := &DStream[version[K, S]]{ssc: in.ssc, node: node}
	d.make = func(g *plan.Generation) *rdd.RDD[version[K, S]] { return s.at(g, d) }
	s.of.Compute = func(g *plan.Generation) lineage.Action {
		a := rdd.PartitionAction(d.at(g), spec.op, readVersions[K, S])
		a.Op, a.Site = s.of.Op, s.of.Site
		return a
	}
	s.of.Save = func(g *plan.Generation, kind plan.SaveKind) lineage.Action { return s.saveAll(d.at(g), g.Alloc, kind) }
	if program.Open(spec.op) {
		in.ssc.states[spec.name] = d
	}
	return d
}

// readVersions has the version of a partition computed, which is kept and saved.
func readVersions[K comparable, S any](_ *task.Context, versions iter.Seq2[version[K, S], error]) ([]byte, error) {
	for _, err := range versions {
		if err != nil {
			return nil, err
		}
	}
	return nil, nil
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
	var was version[K, S]
	if len(before) > 0 {
		was = before[0]
	} else if was.table, err = s.first(p, a.TimeNanos); err != nil {
		return v, err
	}
	edit := was.table.Edit()
	if c != nil {
		edit.ForgetRemovals(c.TimeNanos)
	}
	if v, err = s.step(was, edit, a.TimeNanos, in); err != nil {
		return v, err
	}
	v.table = edit.Commit()
	return v, nil
}

// first returns the table with which a partition begins.
func (s *keyedState[K, S, I]) first(p rdd.Part, at int64) (*keyed.Table[K, S], error) {
	edit := s.empty().Edit()
	if s.begin != nil {
		err := s.begin(p, edit, at)
		return edit.Commit(), err
	}
	place, err := s.layout.place(s.partitioner)
	if err != nil {
		return nil, err
	}
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

func (s *keyedState[K, S, I]) empty() *keyed.Table[K, S] {
	return keyed.New(s.layout.keys, s.layout.size)
}
