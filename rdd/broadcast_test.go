package rdd_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/rddtest"
)

// copies are the runners of a driver's and an executor's copy of a program: what the
// driver's broadcasts reaches the executor's.
type copies struct {
	*rddtest.Reference
	onDriver bool
	sent     *[][]byte
	lost     int // how often the executor can't have them
	asked    int
}

func (c *copies) Broadcast(d rdd.Declared, encode func() ([]byte, error)) (func() ([]byte, error), error) {
	if c.onDriver {
		b, err := encode()
		if *c.sent = append(*c.sent, b); d.Number != len(*c.sent)-1 || d.Site.Line == 0 {
			return nil, fmt.Errorf("number %d at %s", d.Number, d.Site)
		}
		return func() ([]byte, error) { return b, nil }, err
	}
	return func() ([]byte, error) {
		if c.asked++; c.asked <= c.lost {
			return nil, errBroken
		}
		return (*c.sent)[d.Number], nil
	}, nil
}

// build runs a program that broadcasts a table and a number, which differ in each copy.
func build(r rdd.Runner, by string) (*rdd.RDD[string], *rdd.Broadcast[map[int]string]) {
	sc := rdd.NewContext(lineage.NewLineage(0, 2), r)
	table := map[int]string{1: "one by " + by, 2: "two by " + by}
	b, n := rdd.NewBroadcast(sc, table), rdd.NewBroadcast(sc, len(by))
	table[1] = "changed later"
	return rdd.Map(ints(sc, 2, 2), func(i int) string { return fmt.Sprint(b.Value()[i], n.Value()) }), b
}

// What the driver's copy of the program made is what tasks see, also those of another
// copy, which made something else.
func TestTheDriversBroadcastWins(t *testing.T) {
	var sent [][]byte
	driver, onDriver := build(&copies{Reference: rddtest.NewReference(), onDriver: true, sent: &sent}, "driver")
	runner := &copies{Reference: rddtest.NewReference(), sent: &sent, lost: 1}
	executor, _ := build(runner, "the executor")
	want := "[one by driver6 two by driver6]"
	if got := outcome(rdd.Collect(driver)); got != want {
		t.Error(got)
	}
	if v := onDriver.Value()[2]; v != "two by driver" {
		t.Errorf("the program sees %q", v)
	}
	_, err := rdd.Collect(executor)
	if p, ok := errors.AsType[*rdd.PanicError](err); !ok || p.Op != "map" || !errors.Is(err, rdd.ErrBroadcast) || !errors.Is(err, errBroken) ||
		!strings.Contains(err.Error(), "broadcast at rdd/broadcast_test.go:") {
		t.Errorf("bytes that can't be had: %v", err)
	}
	for range 2 {
		if got := outcome(rdd.Collect(executor)); got != want {
			t.Error(got)
		}
	}
	if runner.asked != 3 { // failed, then once for each of the two
		t.Errorf("the bytes were asked for %d times", runner.asked)
	}
}

// values is a runner of a copy of a program that has no more than the driver's values.
type values struct {
	rdd.Runner
	onDriver bool
	sent     *[][]byte
	next     int
}

func (v *values) Value(_ lineage.Site, compute func() ([]byte, error)) ([]byte, error) {
	if v.onDriver {
		b, err := compute()
		*v.sent = append(*v.sent, b)
		return b, err
	}
	v.next++
	return (*v.sent)[v.next-1], nil
}

// The driver's values serve a runner that can do no better.
func TestBroadcastAsAValue(t *testing.T) {
	var sent [][]byte
	build(&values{Runner: rddtest.NewReference(), onDriver: true, sent: &sent}, "driver")
	executor, _ := build(&values{Runner: rddtest.NewReference(), sent: &sent}, "the executor")
	if got := outcome(rdd.Collect(executor)); got != "[one by driver6 two by driver6]" {
		t.Error(got)
	}
}

// counted counts how often it was decoded.
type counted struct{ s string }

var decoded struct {
	sync.Mutex
	n int
}

func (c counted) MarshalText() ([]byte, error) { return []byte(c.s), nil }

func (c *counted) UnmarshalText(b []byte) error {
	decoded.Lock()
	defer decoded.Unlock()
	decoded.n++
	c.s = string(b)
	return nil
}

// A process decodes a value once, however many tasks ask for it at once, and not at all
// if none does.
func TestBroadcastIsDecodedOnce(t *testing.T) {
	for name, sc := range map[string]*rdd.Context{
		"a program": rddtest.NewContext(2), "a batch of a stream": rdd.NewContext(lineage.NewLineage(1, 1), nil),
	} {
		decoded.n = 0
		b := rdd.NewBroadcast(sc, counted{"x"})
		if decoded.n != 0 {
			t.Errorf("%s: decoded before it is needed", name)
		}
		var tasks sync.WaitGroup
		for range 8 {
			tasks.Go(func() {
				if v := b.Value(); v.s != "x" {
					t.Errorf("%s: %+v", name, v)
				}
			})
		}
		tasks.Wait()
		if decoded.n != 1 {
			t.Errorf("%s: decoded %d times", name, decoded.n)
		}
	}
}

// What can't be broadcast is an error of the program.
func TestErrorsOfBroadcasts(t *testing.T) {
	sc := rddtest.NewContext(1)
	rdd.NewBroadcast(sc, func() {})
	_, err := rdd.Count(ints(sc, 1, 1))
	if !errors.Is(err, encoding.ErrUnencodable) || !strings.Contains(err.Error(), "broadcast at rdd/broadcast_test.go:") {
		t.Errorf("a function: %v", err)
	}

	sc = rddtest.NewContext(1)
	r := rdd.Map(ints(sc, 1, 1), func(int) int { return rdd.NewBroadcast(sc, 1).Value() })
	sc.Lineage().Freeze("it is too late")
	_, err = rdd.Collect(r)
	if _, ok := errors.AsType[*lineage.FrozenError](sc.Lineage().Err()); !ok || !errors.Is(err, rdd.ErrBroadcast) {
		t.Errorf("in a task: %v, then %v", sc.Lineage().Err(), err)
	}
}

func ExampleNewBroadcast() {
	sc := rddtest.NewContext(2)
	names := rdd.NewBroadcast(sc, map[int]string{1: "one", 2: "two"})
	numbers := rdd.Parallelize(sc, []int{1, 2, 1})
	fmt.Println(rdd.Collect(rdd.Map(numbers, func(i int) string { return names.Value()[i] })))
	// Output: [one two one] <nil>
}
