package variables

import (
	"fmt"
	"hash/fnv"
	"math"
	"reflect"
	"strings"
	"time"
)

// Kind says what a variable is.
type Kind byte

// The kinds.
const (
	Value  Kind = 'v'
	List   Kind = 'l'
	Map    Kind = 'm'
	Timers Kind = 't'
)

// String returns the kind for people.
func (k Kind) String() string {
	switch k {
	case Value:
		return "value"
	case List:
		return "list"
	case Map:
		return "map"
	case Timers:
		return "timers"
	}
	return fmt.Sprintf("kind %q", byte(k))
}

// Variable is what a program names of each key. It never changes.
type Variable struct {
	Name  string
	Kind  Kind
	Types string        // what it holds, for people and to tell it from others
	TTL   time.Duration // 0 for ever
	Key   reflect.Type  // of a map's keys, else nil
	Of    reflect.Type  // of what it holds, nil for timers
	tag   string        // in its rows
}

// New returns a variable.
func New(kind Kind, name, types string, ttl time.Duration) *Variable {
	h := fnv.New32a()
	_, _ = h.Write([]byte(types)) // a hash never fails
	return &Variable{Name: name, Kind: kind, Types: types, TTL: ttl, tag: fmt.Sprintf("%c:%s:%08x", kind, name, h.Sum32())}
}

// NewTimers returns the timers of a state.
func NewTimers() *Variable { return New(Timers, "", "", 0) }

// Holds returns what the variable is and holds, for people.
func (v *Variable) Holds() string {
	if v.Types == "" {
		return v.Kind.String()
	}
	return v.Kind.String() + " of " + v.Types
}

// cutTag returns the kind and the name that a tag is of.
func cutTag(tag string) (kind Kind, name string, ok bool) {
	parts := strings.Split(tag, ":")
	if len(parts) != 3 || len(parts[0]) != 1 {
		return 0, "", false
	}
	return Kind(parts[0][0]), parts[1], true
}

// never is the end of what has none.
const never = math.MaxInt64

// end returns when what was set at a time has lived its time.
func (v *Variable) end(set int64) int64 {
	if v.TTL == 0 || set > never-int64(v.TTL) {
		return never
	}
	return set + int64(v.TTL)
}
