package engine

import (
	"fmt"
	"iter"
	"reflect"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/internal/variables"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/keyed"
	"github.com/hibana-engine/hibana/rdd/lineage"
)

// TransformWithState keeps several values, lists and maps of each key, and timers:
//
//	items := engine.NewListState[string]("items")
//	owner := engine.NewValueState[User]("owner", engine.TTL(24*time.Hour))
//
//	abandoned := engine.TransformWithState(clicks, "carts",
//		func(c *engine.KeyContext[string], clicks []Click, emit func(Cart)) error {
//			for _, click := range clicks {
//				items.Append(c, click.Item)
//			}
//			for _, at := range c.Timers() {
//				c.DeleteTimer(at)
//			}
//			c.SetTimer(c.BatchTime().Add(30 * time.Minute))
//			return nil
//		},
//		engine.Holds(items, owner),
//		engine.OnTimer(func(c *engine.KeyContext[string], at time.Time, emit func(Cart)) error {
//			emit(Cart{c.Key(), slices.Collect(items.All(c))})
//			items.Clear(c)
//			return nil
//		}))
//
// In each batch, on executors, what has lived its [TTL] is taken away; then f is called for
// every key with data, with all its values in the order of their partitions; then the
// function of [OnTimer] for every timer whose time has come, in each partition in the order
// of their times and, within one time, in an order of the keys that is always the same. What
// they emit is the stream. Time is the batch's, so a batch that is computed again does the same. A batch
// costs what has data, what is due, and what the functions read and change: not all keys,
// and not all of a list or map.
//
// The name tells the state from others, as the names of the variables tell these: under
// them a job that goes on finds them again, see [MapWithState]. An error fails the batch,
// and names the key. (Spark: transformWithState, with processing time.)
func TransformWithState[K comparable, V, E any](d *DStream[rdd.Pair[K, V]], name string, f func(c *KeyContext[K], values []V, emit func(E)) error, opts ...StateOption) *DStream[E] {
	const op = "transformWithState"
	require(d.ssc, op, f != nil)
	o := stateOptionsOf(d.ssc, op, stateOptionSet{variables: true}, opts)
	t := &stateTransformer[K, V, E]{site: lineage.Caller(), name: name, f: f}
	functions := []any{f}
	if o.timer != nil {
		var is bool
		if t.timer, is = o.timer.(func(*KeyContext[K], time.Time, func(E)) error); !is {
			d.ssc.fail(op, fmt.Errorf("%w: the function of engine.OnTimer is a %T, not a %T", ErrState, o.timer, t.timer))
		}
		functions = append(functions, o.timer)
	}
	if o.begins != nil {
		var is bool
		if t.begins, is = o.begins.(*beginning[K]); !is {
			var k K
			d.ssc.fail(op, fmt.Errorf("%w: the keys of engine.InitialVariables aren't of the type %T, as the stream's are", ErrState, k))
		} else {
			functions = append(functions, t.begins.f)
		}
	}
	t.held, t.partitioner = o.held, o.partitioner
	return emitted[E](declareState(GroupByKey(d, rdd.By(o.partitioner)), o, stateSpec[variables.Row[K], []byte, rdd.Pair[K, []V]]{
		name: name, op: op, begin: t.begin, step: t.step, functions: functions, lay: t.layout, holds: logged(o.held),
		stored: append(storedOf(o.held), plan.Stored{What: "key", Type: reflect.TypeFor[K]()}),
	}))
}

// Holds says what variables [TransformWithState] keeps of each key.
func Holds(held ...Variable) StateOption {
	return func(o *stateOptions) {
		for _, v := range held {
			o.hold(v)
		}
	}
}

// OnTimer has f called, on executors, for each timer that [KeyContext.SetTimer] has set,
// when its time has come: at is what it was set to. The timer isn't set any more.
func OnTimer[K comparable, E any](f func(c *KeyContext[K], at time.Time, emit func(E)) error) StateOption {
	return func(o *stateOptions) {
		if o.timer = f; f == nil {
			o.errs = append(o.errs, fmt.Errorf("%w: the function of engine.OnTimer is nil", rdd.ErrNilFunction))
		}
	}
}

// stateTransformer is the operator of TransformWithState.
type stateTransformer[K comparable, V, E any] struct {
	site        lineage.Site
	name        string
	partitioner rdd.Partitioner
	held        []*variables.Variable
	schema      *variables.Schema[K]
	begins      *beginning[K] // nil for nothing
	f           func(c *KeyContext[K], values []V, emit func(E)) error
	timer       func(c *KeyContext[K], at time.Time, emit func(E)) error // nil for none
}

// layout lays out the state.
func (t *stateTransformer[K, V, E]) layout() (l layout[variables.Row[K], []byte], err error) {
	if t.schema, err = variables.NewSchema[K](t.held); err != nil {
		return l, err
	}
	l = layout[variables.Row[K], []byte]{codec: t.schema.Codec, keys: t.schema.Keys, size: variables.Bytes[K]}
	l.place = func(p rdd.Partitioner) (func(variables.Row[K]) (int, error), error) {
		place, err := rdd.Placer[K](p)
		return func(r variables.Row[K]) (int, error) { return place(r.Key) }, err
	}
	return l, nil
}

// logged returns what a log says of variables.
func logged(held []*variables.Variable) (all []plan.LoggedVariable) {
	for _, v := range held {
		all = append(all, plan.LoggedVariable{Name: v.Name, Types: v.Holds()})
	}
	return all
}

// storedOf returns the types of what variables hold.
func storedOf(held []*variables.Variable) (all []plan.Stored) {
	for _, v := range held {
		if v.Key != nil {
			all = append(all, plan.Stored{Of: v.Name, What: "key", Type: v.Key})
		}
		if v.Of != nil {
			all = append(all, plan.Stored{Of: v.Name, Type: v.Of})
		}
	}
	return all
}

// step implements step.
func (t *stateTransformer[K, V, E]) step(before version[variables.Row[K], []byte], edit *keyed.Edit[variables.Row[K], []byte], at int64, in iter.Seq2[rdd.Pair[K, []V], error]) (next version[variables.Row[K], []byte], err error) {
	p, err := t.schema.Next(before.table, before.due, edit, at)
	if err != nil {
		return next, err
	}
	due, err := p.Expire()
	if err != nil {
		return next, err
	}
	var out []E
	emit := func(e E) { out = append(out, e) }
	c := t.context(p, at)
	for group, err := range in {
		if err != nil {
			return next, err
		}
		p.Choose(group.Key)
		c.key = group.Key
		if err := t.call(c, "", func() error { return t.f(c, group.Value, emit) }); err != nil {
			return next, err
		}
	}
	if err := t.fire(c, due, emit); err != nil {
		return next, err
	}
	return version[variables.Row[K], []byte]{due: p.Commit(), out: out}, nil
}

// context returns the context of all calls for keys of a partition, one after the other.
func (t *stateTransformer[K, V, E]) context(p *variables.Partition[K], at int64) *KeyContext[K] {
	return &KeyContext[K]{at: time.Unix(0, at), times: t.timer != nil, of: p}
}

// fire calls the function for the timers that are due and that no function has deleted.
func (t *stateTransformer[K, V, E]) fire(c *KeyContext[K], due []variables.Expired[K], emit func(E)) error {
	for _, timer := range due {
		if !c.of.Fire(timer) {
			continue
		}
		c.key = timer.Key
		at := time.Unix(0, timer.At)
		if err := t.call(c, fmt.Sprintf(", whose timer of %s is due", at.UTC().Format(time.RFC3339Nano)), func() error { return t.timer(c, at, emit) }); err != nil {
			return err
		}
	}
	return nil
}

// call calls a function for the key of c. Its error, or its panic, becomes one that names
// the key.
func (t *stateTransformer[K, V, E]) call(c *KeyContext[K], why string, f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = panicOfKey(v, "transformWithState", t.site, t.name, c.key)
			err.(*lineage.PanicError).Value += why
		}
	}()
	if err = f(); err == nil {
		err = c.of.Err()
	}
	if err != nil {
		return fmt.Errorf("%s%s: %w", keyName(c.key, t.name), why, err)
	}
	return nil
}
