package batchlog

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
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
	for i, p := range s.Past {
		if i == 0 {
			b.WriteString(" past")
		}
		fmt.Fprintf(&b, " %d", p.Seq)
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

// Batches that are complete are kept from the newest batch's Keep on.
func TestPast(t *testing.T) {
	batch := func(seq, keep uint64, done ...Completion) func(*State) error {
		return func(s *State) error {
			_, err := s.Allocate(Batch{Seq: seq, Data: []byte{1}, Keep: keep}, done, 0, nil)
			return err
		}
	}
	done := func(seqs ...uint64) func(*State) error {
		return func(s *State) error {
			for _, seq := range seqs {
				if _, err := s.Complete([]Completion{{seq, 0}, {seq, AllOutputs}, {seq, AllOutputs}}, nil); err != nil {
					return err
				}
			}
			return nil
		}
	}
	var s State
	for i, tt := range []struct {
		do   func(*State) error
		want string // after the header, the values and the last batch
	}{
		{batch(1, 0), "1[]"},
		{done(1), ""}, // nothing was to be kept
		{batch(2, 2), "2[]"},
		{batch(3, 2, Completion{2, 0}), "2[0] 3[]"},
		{done(3), "2[0] past 3"},
		{done(2), "past 2 3"}, // in order, whichever came first
		{batch(4, 2), "4[] past 2 3"},
		{done(4), "past 2 3 4"},
		{batch(5, 3), "5[] past 3 4"},
		{batch(6, 5, Completion{5, AllOutputs}), "6[] past 5"},          // kept as of now, not as of its own batch
		{batch(7, 7, Completion{6, AllOutputs}), "7[]"},                 // and not kept, as of now
		{batch(8, 4), "7[] 8[]"},                                        // what is gone doesn't come back
		{done(7, 8), "past 7 8"},                                        //
		{batch(8, 4, Completion{7, AllOutputs}), "past 7 8"},            // it comes again
		{batch(9, 0), "9[]"},                                            // none reaches back any more
		{func(s *State) error { s.Drop(); return nil }, ""},             //
		{func(s *State) error { return s.Restart([]byte{1}, nil) }, ""}, //
	} {
		if err := tt.do(&s); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		if _, got, _ := strings.Cut(said(&s), fmt.Sprintf("last %d", s.Last.Seq)); strings.TrimSpace(got) != tt.want {
			t.Fatalf("step %d: %s, want %q", i, said(&s), tt.want)
		}
		if err := s.Check(); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
	}
}

// A state whose past isn't one that the methods make is refused.
func TestCheckPast(t *testing.T) {
	for name, past := range map[string][]Batch{
		"twice":          {{Seq: 2}, {Seq: 2}},
		"descending":     {{Seq: 3}, {Seq: 2}},
		"after the last": {{Seq: 6}},
		"not complete":   {{Seq: 4}},
		"numbered 0":     {{Seq: 0}},
	} {
		s := State{Last: Batch{Seq: 5}, Pending: []Batch{{Seq: 4}, {Seq: 5}}, Past: past}
		if s.Check() == nil {
			t.Errorf("%s: %s", name, said(&s))
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
	size, most := 0, 0
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
			_, err = s.Allocate(Batch{Seq: s.Last.Seq + rnd.Uint64N(3), Epoch: 1, Data: data, Keep: randomKeep(rnd, &s)}, done, 5, commit)
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
		if restored := rewritten(&s); fmt.Sprintf("%+v", restored) != fmt.Sprintf("%+v", s) {
			t.Fatalf("restored it is %s, it was %s", said(&restored), said(&s))
		}
		most = max(most, len(s.Past))
	}
	if most < 4 {
		t.Errorf("at most %d batches were kept", most)
	}
}

// randomKeep returns a first batch to keep that is mostly near the newest one.
func randomKeep(rnd *rand.Rand, s *State) uint64 {
	if rnd.IntN(10) == 0 {
		return 0
	}
	return s.Last.Seq - min(s.Last.Seq, rnd.Uint64N(8))
}

// rewritten returns the state that is restored of what is written down of s.
func rewritten(s *State) State {
	r := State{Header: s.Header, Values: slices.Clone(s.Values)}
	for _, p := range s.Past {
		r.RestorePast(p)
	}
	for _, p := range s.Pending {
		p.Done = slices.Clone(p.Done)
		r.Restore(p, false)
	}
	if s.Last.Seq > 0 {
		r.Restore(s.Last, true)
	}
	return r
}
