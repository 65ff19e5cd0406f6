package paper

import (
	"context"
	"errors"
	"io"
	"reflect"
	"slices"
	"testing"
	"time"
)

// testGrid has 2 runs that write, and 8 of each other scenario.
func testGrid() Grid {
	return Grid{Nodes: []int{1}, Replications: []int{1}, Partitions: []int{1, 4}, Consumers: []int{1, 2}, Images: 100, Recognised: 10, Repetitions: 1}
}

// fakeBench measures what it is told. It is a Bench.
type fakeBench struct {
	runs    []Run
	measure func(Run) (Measured, error)
}

func (b *fakeBench) Measure(_ context.Context, r Run) (Measured, error) {
	b.runs = append(b.runs, r)
	return b.measure(r)
}

// steady is 1,000 images/s for each partition written, and twice that for each consumer read.
func steady(r Run) (m Measured, err error) {
	if r.Scenario == Both || r.Scenario == Write {
		m.Written = 1000 * float64(r.Partitions)
	}
	if r.Reader != Nobody {
		m.Read = 2000 * float64(r.Consumers)
	}
	return m, nil
}

func TestRunsAreInOrder(t *testing.T) {
	g := testGrid()
	g.WarmUp, g.Repetitions = 1, 2
	var runs []Run
	for r := range g.Runs() {
		runs = append(runs, r)
	}
	if len(runs) != 3*26 {
		t.Fatalf("%d runs, want 78", len(runs))
	}
	for i, want := range map[int]Run{
		0:  {Cell{Setup{1, 1}, 1, Write, Nobody, 0}, 0}, // the first one warms up, and writes what the next ones read
		1:  {Cell{Setup{1, 1}, 1, Read, Bare, 1}, 0},
		2:  {Cell{Setup{1, 1}, 1, Read, Engine, 1}, 0},
		13: {Cell{Setup{1, 1}, 4, Write, Nobody, 0}, 0},
		26: {Cell{Setup{1, 1}, 1, Write, Nobody, 0}, 1},
		77: {Cell{Setup{1, 1}, 4, Both, Engine, 2}, 2},
	} {
		if runs[i] != want {
			t.Errorf("run %d is %+v, want %+v", i, runs[i], want)
		}
	}
}

// All runs on one number of brokers come before those on the next, and no topic has more
// replicas than there are brokers.
func TestRunsOnSeveralBrokers(t *testing.T) {
	g := testGrid()
	g.Nodes, g.Replications, g.WarmUp = []int{1, 3}, []int{1, 2, 3}, 1
	if got, want := g.Setups(), []Setup{{1, 1}, {3, 1}, {3, 2}, {3, 3}}; !slices.Equal(got, want) {
		t.Fatalf("setups %v, want %v", got, want)
	}
	var runs []Run
	for r := range g.Runs() {
		runs = append(runs, r)
	}
	if len(runs) != 2*4*26 {
		t.Fatalf("%d runs, want 208", len(runs))
	}
	for i, want := range map[int]Run{
		51:  {Cell{Setup{1, 1}, 4, Both, Engine, 2}, 1},
		52:  {Cell{Setup{3, 1}, 1, Write, Nobody, 0}, 0},
		104: {Cell{Setup{3, 3}, 1, Write, Nobody, 0}, 0},
		130: {Cell{Setup{3, 1}, 1, Write, Nobody, 0}, 1},
		207: {Cell{Setup{3, 3}, 4, Both, Engine, 2}, 1},
	} {
		if runs[i] != want {
			t.Errorf("run %d is %+v, want %+v", i, runs[i], want)
		}
	}
	if got, want := runs[104].Cell.String(), "write, 1 partition, 3 brokers, replication 3"; got != want {
		t.Errorf("a cell is called %q, want %q", got, want)
	}
}

// A grid that fails, is interrupted and goes on runs each of its runs once.
func TestGoesOnWhereItStopped(t *testing.T) {
	g, path := testGrid(), t.TempDir()+"/results.csv"
	ctx, interrupt := context.WithCancel(t.Context())
	fails := errors.New("the broker is gone")
	b := &fakeBench{measure: func(r Run) (Measured, error) {
		if r.Scenario == Recognise {
			return Measured{}, fails
		}
		return steady(r)
	}}
	measure := func() error {
		t.Helper()
		r := mustOpen(t, path)
		defer r.Close()
		return Measure(ctx, b, g, r, io.Discard)
	}
	if err := measure(); !errors.Is(err, fails) {
		t.Fatalf("error %v, want %v", err, fails)
	}
	if got := len(b.runs); got != 6 { // a write, 4 reads, one that fails
		t.Fatalf("%d runs before the one that failed ended it, want 6", got)
	}
	b.runs, b.measure = nil, func(r Run) (Measured, error) {
		if r.Partitions == 4 {
			interrupt()
			return Measured{}, context.Canceled
		}
		return steady(r)
	}
	if err := measure(); !errors.Is(err, ErrInterrupted) {
		t.Fatalf("error %v, want that it is interrupted", err)
	}
	if first, want := b.runs[0], (Run{Cell{Setup{1, 1}, 1, Recognise, Bare, 1}, 1}); first != want {
		t.Errorf("it went on with %+v, want %+v, which had failed", first, want)
	}
	ctx = t.Context()
	b.runs, b.measure = nil, steady
	if err := measure(); err != nil {
		t.Fatal(err)
	}
	if got := len(b.runs); got != 13 {
		t.Errorf("%d runs were left, want the 13 with four partitions", got)
	}
	r := mustOpen(t, path)
	defer r.Close()
	s := Summarise(g, r.Rows)
	if s.Partial() || s.All != 26 {
		t.Errorf("%d of %d runs are done", s.Done, s.All)
	}
	for _, c := range s.Cells {
		if c.Failed != "" {
			t.Errorf("%s still counts as failed: %s", c.Cell, c.Failed)
		}
	}
}

// A run that is over when an interrupt comes is kept.
func TestInterruptedAfterARun(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	b := &fakeBench{measure: func(r Run) (Measured, error) {
		interrupt()
		return steady(r)
	}}
	r := mustOpen(t, t.TempDir()+"/results.csv")
	defer r.Close()
	err := Measure(ctx, b, testGrid(), r, io.Discard)
	if !errors.Is(err, ErrInterrupted) || err.Error() != "interrupted after 1 of 26 runs" || len(r.Rows) != 1 || r.Rows[0].Failed != "" {
		t.Errorf("rows %+v, error %v", r.Rows, err)
	}
}

func TestTimeLeft(t *testing.T) {
	row := func(s Scenario, r Reader, seconds float64, failed string) Row {
		return Row{Run: Run{Cell{Scenario: s, Reader: r}, 1}, Seconds: seconds, Failed: failed}
	}
	rows := []Row{row(Read, Bare, 1, ""), row(Read, Bare, 3, ""), row(Recognise, Engine, 11, ""), row(Read, Bare, 600, "too slow")}
	todo := []Run{{Cell{Scenario: Read, Reader: Bare}, 2}, {Cell{Scenario: Recognise, Reader: Engine}, 2}, {Cell{Scenario: Both, Reader: Bare}, 2}}
	if got, want := left(todo, rows), (2+11+5)*time.Second; got != want { // of the unknown kind: the mean of all
		t.Errorf("%s left, want %s", got, want)
	}
	if got := left(todo, nil); got != 0 {
		t.Errorf("%s left of what is unknown", got)
	}
}

func TestStatistics(t *testing.T) {
	for _, c := range []struct {
		rates []float64
		want  string
	}{
		{nil, ""},
		{[]float64{512_345}, "512k"},
		{[]float64{3000, 1000, 2000}, "2.00k (1.00k-3.00k)"},
		{[]float64{40_000, 10_000, 20_000, 30_000}, "25.0k (10.0k-40.0k)"},
		{[]float64{1_254_000, 999_499}, "1.13M (999k-1.25M)"},
	} {
		if got := stat(c.rates).String(); got != c.want {
			t.Errorf("%v is %q, want %q", c.rates, got, c.want)
		}
	}
}

// Warm-ups, failures and repetitions beyond those that were asked for don't count.
func TestSummary(t *testing.T) {
	g := testGrid()
	g.Repetitions, g.WarmUp = 2, 1
	c := Cell{Setup{1, 1}, 4, Read, Engine, 2}
	row := func(rep int, rate float64, failed string) Row {
		return Row{Run: Run{c, rep}, Measured: Measured{Read: rate}, Failed: failed}
	}
	s := Summarise(g, []Row{row(0, 1, ""), row(1, 0, "no broker"), row(1, 4, ""), row(2, 8, ""), row(3, 100, "")})
	if got, want := s.Of(c).Consumers, stat([]float64{4, 8}); !reflect.DeepEqual(got, want) || got.Median != 6 {
		t.Errorf("%+v, want %+v", got, want)
	}
	if s.Of(c).Failed != "" || s.Done != 3 || s.All != 78 {
		t.Errorf("failed %q, %d of %d done", s.Of(c).Failed, s.Done, s.All)
	}
}
