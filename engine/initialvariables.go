package engine

import (
	"fmt"
	"iter"

	"github.com/hibana-engine/hibana/engine/internal/variables"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/keyed"
)

// InitialVariables is what [TransformWithState] begins with when there is no checkpoint of
// the state: f is called, on executors, for every pair, in the pairs' order, with the key of
// it, to set variables and timers from the value. That is in the state's first batch, before any function
// sees data, whose time is that of the context: TTLs begin with it. A key that is there
// twice gets two calls. A batch that is computed again has f called again, for the same,
// and a job that goes on from a checkpoint hasn't: so f must do nothing but that. Every
// process must pass the same pairs. An error fails the batch, and names the key. (Spark:
// handleInitialState.)
func InitialVariables[K comparable, S any](pairs []rdd.Pair[K, S], f func(c *KeyContext[K], initial S) error) StateOption {
	return func(o *stateOptions) {
		if f == nil {
			o.errs = append(o.errs, fmt.Errorf("%w: the function of engine.InitialVariables is nil", rdd.ErrNilFunction))
			return
		}
		o.begins = &beginning[K]{f: f, calls: func(yield func(K, func(*KeyContext[K]) error) bool) {
			for _, pair := range pairs {
				if !yield(pair.Key, func(c *KeyContext[K]) error { return f(c, pair.Value) }) {
					return
				}
			}
		}}
	}
}

// beginning is what variables begin with.
type beginning[K comparable] struct {
	f     any // the user's function
	calls iter.Seq2[K, func(c *KeyContext[K]) error]
}

// begin implements begin.
func (t *stateTransformer[K, V, E]) begin(part rdd.Part, edit *keyed.Edit[variables.Row[K], []byte], at int64) error {
	if t.begins == nil {
		return nil
	}
	place, err := rdd.Placer[K](t.partitioner)
	if err != nil {
		return err
	}
	p, err := t.schema.Next(keyed.New[variables.Row[K], []byte](t.schema.Keys, nil), nil, edit, at)
	if err != nil {
		return err
	}
	c := t.context(p, at)
	for key, set := range t.begins.calls {
		to, err := place(key)
		if err != nil {
			return err
		}
		if to != part.Index {
			continue
		}
		p.Choose(key)
		c.key = key
		if err := t.call(c, ", which begins", func() error { return set(c) }); err != nil {
			return err
		}
	}
	return nil // what ends is found in the table
}
