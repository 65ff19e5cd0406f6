package batchlog

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// said shows a state in one line.
func said(s *State) string {
	var b strings.Builder
	fmt.Fprintf(&b, "header %q values %d last %d", s.Header, len(s.Values), s.Last.Seq)
	for _, p := range s.Pending {
		fmt.Fprintf(&b, " %d%v", p.Seq, p.Done)
	}
	return b.String()
}

func TestState(t *testing.T) {
	header := func(h string) func(*State) (Effect, error) {
		return func(s *State) (Effect, error) { return s.Start([]byte(h), nil) }
	}
	value := func(i int, data string) func(*State) (Effect, error) {
		return func(s *State) (Effect, error) { return s.Record(i, Value{"v", []byte(data)}, 2, nil) }
	}
	batch := func(seq, epoch uint64, data string, done ...Completion) func(*State) (Effect, error) {
		return func(s *State) (Effect, error) {
			return s.Allocate(Batch{Seq: seq, Epoch: epoch, Data: []byte(data)}, done, 2, nil)
		}
	}
	done := func(done ...Completion) func(*State) (Effect, error) {
		return func(s *State) (Effect, error) { return s.Complete(done, nil) }
	}
	var s State
	for i, tt := range []struct {
		do     func(*State) (Effect, error)
		effect Effect
		err    error
		state  string
	}{
		{header(""), Effect{}, ErrHeader, `header "" values 0 last 0`},
		{header("h"), Effect{}, nil, `header "h" values 0 last 0`},
		{header("h"), Effect{Existed: true}, nil, `header "h" values 0 last 0`},
		{header("g"), Effect{}, ErrHeader, `header "h" values 0 last 0`},
		{value(1, "x"), Effect{}, ErrSequence, `header "h" values 0 last 0`},
		{value(-1, "x"), Effect{}, ErrSequence, `header "h" values 0 last 0`},
		{value(0, "x"), Effect{}, nil, `header "h" values 1 last 0`},
		{value(0, "x"), Effect{Existed: true}, nil, `header "h" values 1 last 0`},
		{value(0, "y"), Effect{}, ErrSequence, `header "h" values 1 last 0`},
		{value(1, "y"), Effect{}, nil, `header "h" values 2 last 0`},
		{value(2, "z"), Effect{}, ErrFull, `header "h" values 2 last 0`},
		{batch(0, 1, ""), Effect{}, ErrSequence, `header "h" values 2 last 0`},
		{batch(2, 1, "b"), Effect{}, ErrSequence, `header "h" values 2 last 0`},
		{batch(1, 1, "a"), Effect{}, nil, `header "h" values 2 last 1 1[]`},
		{batch(1, 1, "a", Completion{1, 3}), Effect{true, true}, nil, `header "h" values 2 last 1 1[3]`},
		{batch(1, 1, "b"), Effect{}, ErrSequence, `header "h" values 2 last 1 1[3]`},
		{batch(1, 2, "a"), Effect{}, ErrSequence, `header "h" values 2 last 1 1[3]`},
		{batch(2, 1, "b", Completion{1, 1}), Effect{Completed: true}, nil, `header "h" values 2 last 2 1[1 3] 2[]`},
		{batch(3, 1, "c"), Effect{}, ErrFull, `header "h" values 2 last 2 1[1 3] 2[]`},
		{batch(3, 1, "c", Completion{1, 5}), Effect{}, ErrFull, `header "h" values 2 last 2 1[1 3] 2[]`},
		{batch(3, 1, "c", Completion{1, AllOutputs}), Effect{Completed: true}, nil, `header "h" values 2 last 3 2[] 3[]`},
		{done(Completion{1, 0}, Completion{9, AllOutputs}), Effect{}, nil, `header "h" values 2 last 3 2[] 3[]`},
		{done(Completion{3, 0}, Completion{3, 0}), Effect{Completed: true}, nil, `header "h" values 2 last 3 2[] 3[0]`},
		{done(Completion{3, AllOutputs}, Completion{3, 1}), Effect{Completed: true}, nil, `header "h" values 2 last 3 2[]`},
		{func(s *State) (Effect, error) { return Effect{}, s.Restart([]byte("g"), nil) }, Effect{}, nil, `header "g" values 2 last 3 2[]`},
		{func(s *State) (Effect, error) { s.Drop(); return Effect{}, nil }, Effect{}, nil, `header "" values 0 last 3`},
	} {
		effect, err := tt.do(&s)
		if effect != tt.effect || !errors.Is(err, tt.err) || said(&s) != tt.state {
			t.Fatalf("step %d: %+v, %v, %s; want %+v, %v, %s", i, effect, err, said(&s), tt.effect, tt.err, tt.state)
		}
	}
}

// Whatever comes, the growths add up to the size, a commit that fails changes
// nothing, and a state that is written down and restored is the same.
func TestStateKeepsItsInvariants(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	var s State
	size := 0
	full := errors.New("full")
	for range 5000 {
		before := s.Clone()
		fails := rnd.IntN(5) == 0
		commit := Commit(func(growth int) error {
			if !reflect.DeepEqual(s.Values, before.Values) || !reflect.DeepEqual(s.Header, before.Header) {
				t.Fatal("it changed before it was durable")
			}
			if fails {
				return full
			}
			size += growth
			return nil
		})
		var done []Completion
		for range rnd.IntN(4) {
			done = append(done, Completion{s.Last.Seq - min(s.Last.Seq, rnd.Uint64N(4)), rnd.Int32N(4) - 1})
		}
		data := make([]byte, rnd.IntN(3))
		var err error
		switch rnd.IntN(6) {
		case 0:
			_, err = s.Start(append(data, 1), commit)
		case 1:
			err = s.Restart(append(data, 1), commit)
		case 2:
			_, err = s.Record(len(s.Values)-rnd.IntN(2), Value{"v", data}, 50, commit)
		case 3:
			_, err = s.Complete(done, commit)
		default:
			_, err = s.Allocate(Batch{Seq: s.Last.Seq + rnd.Uint64N(3), Epoch: 1, Data: data}, done, 5, commit)
		}
		if err != nil && !reflect.DeepEqual(s, before) {
			t.Fatalf("%v left %s of %s", err, said(&s), said(&before))
		}
		if r, ok := errors.AsType[*Refusal](err); err != nil && !errors.Is(err, full) && (!ok || r.Kind == nil) {
			t.Fatal(err)
		}
		if s.Size() != size || s.Check() != nil || len(s.Pending) > 5 {
			t.Fatalf("size %d, growths add up to %d, %v: %s", s.Size(), size, s.Check(), said(&s))
		}
	}
}
