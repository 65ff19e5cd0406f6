package engine

import (
	"fmt"
	"iter"
	"reflect"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/variables"
	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/task"
)

// Variable is something that [TransformWithState] keeps of each key under a name: a
// [*ValueState], a [*ListState] or a [*MapState]. It is only the name and the types of it,
// holds nothing itself, and is used by the functions of the operators that it is given to
// with [Holds]. What they are given by it is their own, and what they put there is
// encoded at once: what they do with either afterwards changes no state.
type Variable interface {
	declared() (*variables.Variable, error)
}

// KeyScope is the key whose variables are meant: the [*KeyContext] that a function of
// [TransformWithState] was called with.
type KeyScope interface {
	cells() variables.Cells
}

// VariableOption is an option of a variable: [TTL].
type VariableOption func(*variableOptions)

type variableOptions struct {
	ttl time.Duration
	err error
}

// TTL has a value, and by itself each element of a list and each entry of a map, end so
// long after it was set: in the first batch whose time is d or more after that of the batch
// that set it. No function sees it from then on, and its key needn't have data for it to
// go.
func TTL(d time.Duration) VariableOption {
	return func(o *variableOptions) {
		if o.ttl = d; d <= 0 {
			o.err = fmt.Errorf("%w: a TTL of %s, it must be above 0", ErrState, d)
		}
	}
}

// variable is what all variables have.
type variable struct {
	of  *variables.Variable
	err error // why it can't be kept
}

func newVariable(kind variables.Kind, name string, key, of reflect.Type, err error, opts []VariableOption) variable {
	var o variableOptions
	for _, set := range opts {
		set(&o)
	}
	types := of.String()
	if key != nil {
		types = fmt.Sprintf("%s to %s", key, of)
	}
	v := variable{of: variables.New(kind, name, types, o.ttl), err: err}
	v.of.Key, v.of.Of = key, of
	if v.err == nil {
		v.err = o.err
	}
	return v
}

// declared implements Variable.
func (v *variable) declared() (*variables.Variable, error) { return v.of, v.err }

// open returns the cells of a key, nil if they don't have the variable, which fails the
// call.
func (v *variable) open(c KeyScope) variables.Cells {
	cells := c.cells()
	if cells.Held(v.of) {
		return cells
	}
	cells.Fail(task.Permanent(fmt.Errorf("%w: the %s %q isn't among what it holds: name it in engine.Holds", ErrState, v.of.Kind, v.of.Name)))
	return nil
}

// encode returns the encoding of what is put into a variable. It reports false if there is
// none, which fails the call.
func encode[T any](v *variable, cells variables.Cells, codec encoding.Codec[T], value T) ([]byte, bool) {
	data, err := codec.Append(nil, value)
	if err != nil {
		cells.Fail(fmt.Errorf("the %s %q: %w", v.of.Kind, v.of.Name, err))
	}
	return data, err == nil
}

// decode returns what was encoded.
func decode[T any](v *variable, cells variables.Cells, codec encoding.Codec[T], data []byte) T {
	value, _, err := codec.Decode(data)
	if err != nil {
		cells.Fail(fmt.Errorf("the %s %q: %w", v.of.Kind, v.of.Name, err))
	}
	return value
}

// ValueState is one value of each key. (Spark: ValueState.)
type ValueState[T any] struct {
	variable
	codec encoding.Codec[T]
}

// NewValueState returns the value with a name.
func NewValueState[T any](name string, opts ...VariableOption) *ValueState[T] {
	codec, err := encoding.For[T]()
	return &ValueState[T]{newVariable(variables.Value, name, nil, reflect.TypeFor[T](), err, opts), codec}
}

// Get returns the key's value, and whether there is one.
func (s *ValueState[T]) Get(c KeyScope) (value T, exists bool) {
	cells := s.open(c)
	if cells == nil {
		return value, false
	}
	data, exists := variables.Get(cells, s.of)
	if exists {
		value = decode(&s.variable, cells, s.codec, data)
	}
	return value, exists
}

// Set sets the key's value.
func (s *ValueState[T]) Set(c KeyScope, value T) {
	if cells := s.open(c); cells != nil {
		if data, ok := encode(&s.variable, cells, s.codec, value); ok {
			variables.Set(cells, s.of, data)
		}
	}
}

// Remove takes the key's value away.
func (s *ValueState[T]) Remove(c KeyScope) {
	if cells := s.open(c); cells != nil {
		variables.Remove(cells, s.of)
	}
}

// ListState is a list of each key. To append to it, and to read on from its front, costs
// the same however long it is. (Spark: ListState.)
type ListState[T any] struct {
	variable
	codec encoding.Codec[T]
}

// NewListState returns the list with a name.
func NewListState[T any](name string, opts ...VariableOption) *ListState[T] {
	codec, err := encoding.For[T]()
	return &ListState[T]{newVariable(variables.List, name, nil, reflect.TypeFor[T](), err, opts), codec}
}

// Append appends to the key's list.
func (s *ListState[T]) Append(c KeyScope, values ...T) {
	cells := s.open(c)
	if cells == nil {
		return
	}
	for _, value := range values {
		if data, ok := encode(&s.variable, cells, s.codec, value); ok {
			variables.Append(cells, s.of, data)
		}
	}
}

// All returns the elements of the key's list, in the order in which they were appended:
// those that are there when the sequence begins.
func (s *ListState[T]) All(c KeyScope) iter.Seq[T] {
	return func(yield func(T) bool) {
		if cells := s.open(c); cells != nil {
			variables.Elements(cells, s.of, func(data []byte) bool { return yield(decode(&s.variable, cells, s.codec, data)) })
		}
	}
}

// Len returns how many elements the key's list has.
func (s *ListState[T]) Len(c KeyScope) int {
	if cells := s.open(c); cells != nil {
		return variables.ListLen(cells, s.of)
	}
	return 0
}

// Clear takes all elements of the key's list away.
func (s *ListState[T]) Clear(c KeyScope) {
	if cells := s.open(c); cells != nil {
		variables.ClearList(cells, s.of)
	}
}

// MapState is a map of each key. To read, set or remove an entry costs the same however
// many there are. (Spark: MapState.)
type MapState[K comparable, V any] struct {
	variable
	key   encoding.Codec[K]
	value encoding.Codec[V]
}

// NewMapState returns the map with a name.
func NewMapState[K comparable, V any](name string, opts ...VariableOption) *MapState[K, V] {
	key, err := encoding.ForKey[K]()
	value, valueErr := encoding.For[V]()
	if err == nil {
		err = valueErr
	}
	return &MapState[K, V]{newVariable(variables.Map, name, reflect.TypeFor[K](), reflect.TypeFor[V](), err, opts), key, value}
}

// entry returns the cells of a key and the encoding of a key of its map. It reports false
// if there is none, which fails the call.
func (s *MapState[K, V]) entry(c KeyScope, k K) (cells variables.Cells, entry string, ok bool) {
	if cells = s.open(c); cells == nil {
		return nil, "", false
	}
	key, ok := encode(&s.variable, cells, s.key, k)
	return cells, string(key), ok
}

// Get returns what the key's map has under k, and whether there is something.
func (s *MapState[K, V]) Get(c KeyScope, k K) (value V, exists bool) {
	cells, entry, ok := s.entry(c, k)
	if !ok {
		return value, false
	}
	data, exists := variables.Entry(cells, s.of, entry)
	if exists {
		value = decode(&s.variable, cells, s.value, data)
	}
	return value, exists
}

// Set sets what the key's map has under k.
func (s *MapState[K, V]) Set(c KeyScope, k K, value V) {
	cells, entry, ok := s.entry(c, k)
	if !ok {
		return
	}
	if data, ok := encode(&s.variable, cells, s.value, value); ok {
		variables.SetEntry(cells, s.of, entry, data)
	}
}

// Remove takes k out of the key's map.
func (s *MapState[K, V]) Remove(c KeyScope, k K) {
	if cells, entry, ok := s.entry(c, k); ok {
		variables.RemoveEntry(cells, s.of, entry)
	}
}

// All returns the entries of the key's map, in the order in which their keys came into it:
// those that are there when the sequence begins and weren't removed since.
func (s *MapState[K, V]) All(c KeyScope) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		cells := s.open(c)
		if cells == nil {
			return
		}
		for _, entry := range variables.Keys(cells, s.of) {
			data, there := variables.Entry(cells, s.of, entry)
			if there && !yield(decode(&s.variable, cells, s.key, []byte(entry)), decode(&s.variable, cells, s.value, data)) {
				return
			}
		}
	}
}

// Len returns how many entries the key's map has.
func (s *MapState[K, V]) Len(c KeyScope) int {
	if cells := s.open(c); cells != nil {
		return variables.MapLen(cells, s.of)
	}
	return 0
}

// Clear takes all entries of the key's map away.
func (s *MapState[K, V]) Clear(c KeyScope) {
	if cells := s.open(c); cells != nil {
		variables.ClearMap(cells, s.of)
	}
}
