package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// receiving returns a host whose receivers say on began that they run, tell their input, and on
// ended why they end.
func receiving(id string, began, ended chan<- string) *host {
	return &host{receive: func(ctx context.Context, input int32, tell func([]byte)) error {
		began <- fmt.Sprintf("%s receives for %d", id, input)
		tell(fmt.Appendf(nil, "from %s", id))
		<-ctx.Done()
		ended <- fmt.Sprintf("%s ends for %d", id, input)
		return nil
	}}
}

// Inputs' receivers run on one executor each, on another one when that is lost, and on none when
// the driver doesn't want it any more, or is deposed.
func TestReceives(t *testing.T) {
	s := newSecret()
	began, ended, told, lost := make(chan string, 10), make(chan string, 10), make(chan string, 10), make(chan string, 10)
	x, y := start(t, "x", s, receiving("x", began, ended)), start(t, "y", s, receiving("y", began, ended))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	over := make(chan struct{})
	receive := func(ctx context.Context, d *driver, over chan<- struct{}) {
		d.Receive(ctx, Reception{
			Inputs: []int32{7}, Patience: patience,
			Told: func(input int32, m []byte) { told <- fmt.Sprintf("%d: %s", input, m) },
			Lost: func(input int32, why string) { lost <- fmt.Sprintf("%d: %s", input, why) },
		})
		close(over)
	}
	expect := func(what string, c <-chan string, want string) {
		t.Helper()
		if got := next(t, what, c); !strings.HasPrefix(got, want) {
			t.Fatalf("%s: %q, want %q", what, got, want)
		}
	}
	d := drive(t, s, 1)
	go receive(ctx, d, over)
	expect("that nobody receives", lost, "7: no executor takes tasks")
	d.members(x)
	expect("a receiver", began, "x receives for 7")
	expect("a message", told, "7: from x")
	d.members(x, y)
	next(t, "x", d.lines)
	next(t, "y", d.lines) // it isn't moved there
	x.stop()
	expect("its end", ended, "x ends for 7")
	expect("that it is lost", lost, "7: executor x@")
	expect("another receiver", began, "y receives for 7")
	expect("a message", told, "7: from y")

	successor := drive(t, s, 2, y) // the driver is deposed
	ctx2, stop2 := context.WithCancel(t.Context())
	over2 := make(chan struct{})
	go receive(ctx2, successor, over2)
	expect("the end of what the deposed driver wanted", ended, "y ends for 7")
	expect("a receiver for its successor", began, "y receives for 7")
	stop()
	next(t, "the end of the deposed driver's reception", over)
	stop2()
	expect("the end", ended, "y ends for 7")
	next(t, "the end of the reception", over2)
}

// A receiver that has ended by itself isn't begun again, also not elsewhere.
func TestReceiverThatEnds(t *testing.T) {
	s := newSecret()
	began := make(chan string, 10)
	ending := func(id string) *host {
		return &host{receive: func(_ context.Context, input int32, _ func([]byte)) error { began <- fmt.Sprint(id, input); return nil }}
	}
	x, y := start(t, "x", s, ending("x")), start(t, "y", s, ending("y"))
	d := drive(t, s, 1, x)
	next(t, "x", d.lines)
	ctx, stop := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() {
		d.Receive(ctx, Reception{Inputs: []int32{1, 2}, Patience: patience, Told: func(int32, []byte) {}, Lost: func(int32, string) {}})
		close(over)
	}()
	if a, b := next(t, "a receiver", began), next(t, "another one", began); a+b != "x1x2" && a+b != "x2x1" {
		t.Errorf("%s, %s", a, b)
	}
	for changed := d.reception.changed.next(); ; changed = d.reception.changed.next() {
		if len(d.reception.left()) == 0 {
			break
		}
		next(t, "the ends", changed)
	}
	d.members(y)
	next(t, "x's loss or y", d.lines)
	next(t, "y or x's loss", d.lines)
	stop()
	next(t, "the end of the reception", over)
	if len(began) > 0 {
		t.Errorf("it was begun again: %s", <-began)
	}
}

// somewhere is a place that notes which receivers it runs.
type somewhere struct {
	name   string
	inputs []int32
}

func (p *somewhere) String() string            { return p.name }
func (p *somewhere) receiveFor(inputs []int32) { p.inputs = inputs }

// Receivers go to who runs the fewest; one that is there stays where it is.
func TestReceptionIsSpread(t *testing.T) {
	a, b, c := &somewhere{name: "a"}, &somewhere{name: "b"}, &somewhere{name: "c"}
	var lost []string
	r := newReception()
	r.join(a)
	r.join(b)
	r.want(Reception{Inputs: []int32{1, 2, 3}, Lost: func(input int32, why string) { lost = append(lost, fmt.Sprint(input, " ", why)) }})
	where := func() string { return fmt.Sprint(a.inputs, b.inputs, c.inputs) }
	if got := where(); got != "[1 3] [2] []" {
		t.Error(got)
	}
	r.join(c)
	if got := where(); got != "[1 3] [2] []" {
		t.Errorf("they move to who comes: %s", got)
	}
	r.leave(a, "it died")
	a.inputs = nil
	if got := where(); got != "[] [2 3] [1]" {
		t.Error(got)
	}
	if got := strings.Join(lost, ", "); got != "1 executor a, which ran the receiver, is lost: it died, 3 executor a, which ran the receiver, is lost: it died" {
		t.Error(got)
	}
}

// The end waits for receivers, but not without end. Nobody is told what they do after it.
func TestReceiverThatGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBackend(Config{})
		a := &somewhere{name: "a"}
		b.reception.join(a)
		ctx, stop := context.WithCancel(t.Context())
		began := time.Now()
		over := false
		time.AfterFunc(time.Second, func() { b.reception.heard(a, &Received{Input: 1, Message: []byte("slow")}) })
		time.AfterFunc(2*time.Second, stop)
		tell := func(int32, string) {
			if over {
				t.Error("somebody is told after the end")
			}
		}
		left := b.Receive(ctx, Reception{
			Inputs: []int32{1, 2}, Patience: 40 * time.Second, Lost: tell,
			Told: func(input int32, m []byte) {
				time.Sleep(time.Minute) // the end waits for it
				tell(input, string(m))
			},
			Failed: func(input int32, err error) { tell(input, err.Error()) },
		})
		over = true
		if took := time.Since(began); took != 61*time.Second || !slices.Equal(left, []int32{1, 2}) {
			t.Errorf("it took %s, %v go on", took, left)
		}
		b.reception.heard(a, &Received{Input: 1, Message: []byte("late")})
		b.reception.heard(a, &Received{Input: 1, Ended: true, Failure: "it is broken"})
		b.reception.leave(a, "it died")
		b.Close()
	})
}

// A receiver that fails tells the driver why, and isn't begun again.
func TestReceiverThatFails(t *testing.T) {
	s := newSecret()
	broken := &host{receive: func(context.Context, int32, func([]byte)) error { return errors.New("it is broken") }}
	d := drive(t, s, 1, start(t, "x", s, broken))
	ctx, stop := context.WithCancel(t.Context())
	failed, over := make(chan string, 10), make(chan struct{})
	go func() {
		d.Receive(ctx, Reception{
			Inputs: []int32{7}, Patience: patience, Told: func(int32, []byte) {}, Lost: func(int32, string) {},
			Failed: func(input int32, err error) { failed <- fmt.Sprintf("%d: %v", input, err) },
		})
		close(over)
	}()
	if got := next(t, "the failure", failed); got != "7: it is broken" {
		t.Error(got)
	}
	if left := d.reception.left(); len(left) > 0 {
		t.Errorf("%v run again", left)
	}
	stop()
	next(t, "the end of the reception", over)
}

// A process that ends doesn't wait without end for a receiver.
func TestServerLeavesReceiversBehind(t *testing.T) {
	s := newSecret()
	began, release := make(chan struct{}, 10), make(chan struct{})
	defer close(release)
	x := start(t, "x", s, &host{receive: func(context.Context, int32, func([]byte)) error {
		began <- struct{}{}
		<-release
		return nil
	}})
	d := drive(t, s, 1, x)
	ctx, stop := context.WithCancel(t.Context())
	over, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		d.Receive(ctx, Reception{Inputs: []int32{7}, Told: func(int32, []byte) {}, Lost: func(int32, string) {}})
		close(over)
	}()
	next(t, "a receiver", began)
	go func() { x.stop(); close(stopped) }()
	next(t, "the process's end", stopped)
	stop()
	next(t, "the end of the reception", over)
}

// Of receivers that don't end in time the inputs are known.
func TestReceiversThatAreLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all Receivers
		for input := range int32(4) {
			all.Run(input, func() { time.Sleep(time.Duration(input) * time.Second) })
		}
		for after, want := range [][]int32{{2, 3}, nil} {
			ctx, cancel := context.WithTimeout(t.Context(), 1700*time.Millisecond)
			if left := all.Wait(ctx); !slices.Equal(left, want) {
				t.Errorf("the wait %d: %v go on, not %v", after, left, want)
			}
			cancel()
		}
	})
}
