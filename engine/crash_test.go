package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/launch"
	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd"
)

// crashStep is a step in the life of a batch at which a job can be stopped.
type crashStep string

// The steps, in about their order. Each but the first is within a function, a log or a
// store of the test's.
const (
	crashRecovers       crashStep = "before the log is taken over"
	crashTakesOver      crashStep = "after the log is taken over"
	crashReadsManifest  crashStep = "before a manifest is read"
	crashAllocates      crashStep = "before a batch is logged"
	crashAllocated      crashStep = "after a batch is logged"
	crashGenerates      crashStep = "in generation"
	crashReads          crashStep = "in a task that reads the input"
	crashChanges        crashStep = "in a task that changes a state"
	crashRestores       crashStep = "before a file of a state is read"
	crashBeginsOutput   crashStep = "before an output"
	crashEndsOutput     crashStep = "after an output"
	crashCompletes      crashStep = "before an output's completion is logged"
	crashCompleted      crashStep = "after an output's completion is logged"
	crashEndsBatch      crashStep = "before a batch's completion is logged"
	crashEndedBatch     crashStep = "after a batch's completion is logged"
	crashSaves          crashStep = "before a file of a state is written"
	crashSaved          crashStep = "after a file of a state is written"
	crashWritesManifest crashStep = "before a manifest is written: all reports were heard"
	crashWroteManifest  crashStep = "after a manifest is written"
	crashSweeps         crashStep = "before unneeded files are listed"
	crashRemoves        crashStep = "before an unneeded file is removed"
	crashRemoved        crashStep = "after an unneeded file is removed"
)

var crashSteps = []crashStep{
	crashRecovers, crashTakesOver, crashReadsManifest, crashAllocates, crashAllocated, crashGenerates, crashReads,
	crashChanges, crashRestores, crashBeginsOutput, crashEndsOutput, crashCompletes, crashCompleted, crashEndsBatch,
	crashEndedBatch, crashSaves, crashSaved, crashWritesManifest, crashWroteManifest, crashSweeps, crashRemoves, crashRemoved,
}

// crashRare are steps that few programs come to.
var crashRare = []crashStep{crashSweeps, crashRemoves, crashRemoved}

// errCrashed is what comes of all that a job tries after its death.
var errCrashed = errors.New("the job is dead")

// crasher stops a job at a step. What the job does after that has no effect.
//
// THREADING: mu guards all below it.
type crasher struct {
	mu    sync.Mutex
	at    crashStep // "" for nowhere
	left  int       // how often the step is still to be reached
	dead  bool
	kill  context.CancelFunc
	steps map[crashStep]int // how often each was reached
	kills map[crashStep]int
}

// arm has the next job die when it reaches a step the nth time.
func (c *crasher) arm(kill context.CancelFunc, at crashStep, nth int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kill, c.dead, c.at, c.left = kill, false, at, nth
}

// reach is called at a step. Its error says that the job is dead.
func (c *crasher) reach(step crashStep) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.dead {
		if c.steps[step]++; step == c.at {
			c.left--
			c.dead = c.left == 0
		}
		if !c.dead {
			return nil
		}
		c.kills[step]++
		c.kill()
	}
	return errCrashed
}

// died reports whether the job did.
func (c *crasher) died() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dead
}

// store is on of a faultyStore.
func (c *crasher) store(o storeOp) error {
	manifest := strings.HasSuffix(o.key, ".manifest")
	step := map[storeOp]crashStep{
		{kind: "read"}: crashRestores, {kind: "list"}: crashSweeps,
		{kind: "remove"}: crashRemoves, {kind: "remove", after: true}: crashRemoved,
		{kind: "write"}: crashSaves, {kind: "write", after: true}: crashSaved,
	}[storeOp{kind: o.kind, after: o.after}]
	if manifest {
		switch step {
		case crashRestores:
			step = crashReadsManifest
		case crashSaves:
			step = crashWritesManifest
		case crashSaved:
			step = crashWroteManifest
		}
	}
	return c.reach(step)
}

// crashLog is a log that outlives its jobs. Completions reach it with the next batch that
// is logged: a machine that dies may lose them before.
type crashLog struct {
	plan.Log
	*crasher
	completed []plan.Completion
}

func (l *crashLog) Start(ctx context.Context, h plan.JobHeader) (uint64, error) {
	if err := l.reach(crashRecovers); err != nil {
		return 0, err
	}
	epoch, err := l.Log.Start(ctx, h)
	return epoch, errors.Join(err, l.reach(crashTakesOver))
}

func (l *crashLog) Allocate(ctx context.Context, a *plan.Allocation, done ...plan.Completion) error {
	if err := l.reach(crashAllocates); err != nil {
		return err
	}
	err := errors.Join(l.flush(ctx), l.Log.Allocate(ctx, a, done...))
	return errors.Join(err, l.reach(crashAllocated))
}

func (l *crashLog) Complete(_ context.Context, c plan.Completion) error {
	before, after := crashCompletes, crashCompleted
	if c.Output == plan.BatchDone {
		before, after = crashEndsBatch, crashEndedBatch
	}
	if err := l.reach(before); err != nil {
		return err
	}
	l.mu.Lock()
	l.completed = append(l.completed, c)
	l.mu.Unlock()
	return l.reach(after)
}

// flush brings the completions into the log.
func (l *crashLog) flush(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.completed {
		if err := l.Log.Complete(ctx, c); err != nil {
			return err
		}
	}
	l.completed = nil
	return nil
}

// lose drops the completions that didn't reach the log.
func (l *crashLog) lose() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.completed = nil
}

// crashProgram is a random program with states and windows, and its input.
type crashProgram struct {
	*crasher
	operators []string // names of crashOperators
	input     [][]rdd.Pair[string, int]
	settings  []string
	slots     int
	maxParts  int
	timeout   time.Duration
	length    time.Duration
	slide     time.Duration

	out      []map[uint64]string // what each output was given, by batch
	lost     int                 // manifests that are gone
	repeated []string            // outputs that were given something else the second time
}

// crashOperators declare the operators that are put to the test, on pairs, in states of
// so many partitions.
var crashOperators = map[string]func(p *crashProgram, d *DStream[rdd.Pair[string, int]], parts StateOption) *DStream[string]{
	"mapWithState": func(p *crashProgram, d *DStream[rdd.Pair[string, int]], parts StateOption) *DStream[string] {
		return MapWithState(d, "mapped", p.sum, parts, Timeout(p.timeout))
	},
	"transformWithState": func(p *crashProgram, d *DStream[rdd.Pair[string, int]], parts StateOption) *DStream[string] {
		return p.transformed(d, parts)
	},
	"stateSnapshots": func(p *crashProgram, d *DStream[rdd.Pair[string, int]], parts StateOption) *DStream[string] {
		MapWithState(d, "shown", p.sum, parts, InitialState([]rdd.Pair[string, int]{rdd.KV("a", 100), rdd.KV("z", 1)}))
		return p.shown(StateSnapshots[string, int](d.ssc, "shown"))
	},
	"updateStateByKey": func(p *crashProgram, d *DStream[rdd.Pair[string, int]], parts StateOption) *DStream[string] {
		return p.shown(UpdateStateByKey(d, "updated", func(_ string, values []int, old rdd.Option[int]) rdd.Option[int] {
			_ = p.reach(crashChanges)
			sum := old.Value
			for _, v := range values {
				sum += v
			}
			if sum%5 == 4 {
				return rdd.None[int]()
			}
			return rdd.Some(sum)
		}, parts))
	},
	"reduceByKeyAndWindowInverse": func(p *crashProgram, d *DStream[rdd.Pair[string, int]], parts StateOption) *DStream[string] {
		return p.shown(ReduceByKeyAndWindowInverse(d, "inverse", p.add, func(a, b int) int { return a - b }, p.length, p.slide,
			func(kv rdd.Pair[string, int]) bool { return kv.Value != 0 }, parts))
	},
	"reduceByKeyAndWindow": func(p *crashProgram, d *DStream[rdd.Pair[string, int]], _ StateOption) *DStream[string] {
		return p.shown(ReduceByKeyAndWindow(d, p.add, p.length, p.slide))
	},
	"window": func(p *crashProgram, d *DStream[rdd.Pair[string, int]], _ StateOption) *DStream[string] {
		return p.shown(d.Window(p.length, p.slide))
	},
	"windowOfStates": func(p *crashProgram, d *DStream[rdd.Pair[string, int]], parts StateOption) *DStream[string] {
		return MapWithState(d, "under", p.sum, parts).Window(p.length, p.slide)
	},
	"stateOfWindows": func(p *crashProgram, d *DStream[rdd.Pair[string, int]], parts StateOption) *DStream[string] {
		return MapWithState(ReduceByKeyAndWindow(d, p.add, p.length, p.slide), "over", p.sum, parts)
	},
	"stateOfWindowsOfStates": func(p *crashProgram, d *DStream[rdd.Pair[string, int]], parts StateOption) *DStream[string] {
		inner := ReduceByKeyAndWindowInverse(d, "inner", p.add, func(a, b int) int { return a - b }, p.length, time.Second, nil, parts)
		return MapWithState(ReduceByKeyAndWindow(inner, p.add, p.length, p.slide), "outer", p.sum, Partitions(2), Timeout(p.timeout+p.slide))
	},
}

func (p *crashProgram) add(a, b int) int { return a + b }

// sum adds up the values of each key.
func (p *crashProgram) sum(key string, value *int, s *State[int]) (string, bool) {
	_ = p.reach(crashChanges)
	sum, _ := s.Get()
	if value == nil {
		return fmt.Sprintf("%s ends with %d", key, sum), true
	}
	if sum += *value; sum%7 == 6 {
		s.Remove()
	} else {
		s.Update(sum)
	}
	return fmt.Sprintf("%s=%d", key, sum), true
}

// transformed keeps values, lists, maps and timers of each key.
func (p *crashProgram) transformed(d *DStream[rdd.Pair[string, int]], parts StateOption) *DStream[string] {
	sum := NewValueState[int]("sum")
	last := NewListState[int]("last", TTL(p.timeout))
	times := NewMapState[int, int]("times", TTL(p.length))
	said := func(c *KeyContext[string], why string) string {
		n, _ := sum.Get(c)
		var counts []string
		for value, count := range times.All(c) {
			counts = append(counts, fmt.Sprint(value, "x", count))
		}
		return fmt.Sprint(c.Key(), why, n, slices.Collect(last.All(c)), counts, len(c.Timers()))
	}
	return TransformWithState(d, "transformed", func(c *KeyContext[string], values []int, emit func(string)) error {
		_ = p.reach(crashChanges)
		n, _ := sum.Get(c)
		for _, v := range values {
			n += v
			last.Append(c, v)
			count, _ := times.Get(c, v)
			if times.Set(c, v, count+1); v == 3 {
				times.Remove(c, 2)
			}
			c.SetTimer(c.BatchTime().Add(time.Duration(1+v) * 700 * time.Millisecond))
		}
		if sum.Set(c, n); n%5 == 4 {
			last.Clear(c)
		}
		emit(said(c, "="))
		return nil
	}, parts, Holds(sum, last, times), InitialVariables([]rdd.Pair[string, int]{rdd.KV("a", 100), rdd.KV("z", 1)}, func(c *KeyContext[string], n int) error {
		sum.Set(c, n)
		last.Append(c, n)
		c.SetTimer(c.BatchTime().Add(p.length))
		return nil
	}), OnTimer(func(c *KeyContext[string], at time.Time, emit func(string)) error {
		if n, _ := sum.Get(c); n%7 == 6 {
			sum.Remove(c)
			for _, other := range c.Timers() {
				c.DeleteTimer(other)
			}
		}
		emit(said(c, " ends after "+c.BatchTime().Sub(at).String()+" with "))
		return nil
	}))
}

func (p *crashProgram) shown(d *DStream[rdd.Pair[string, int]]) *DStream[string] {
	return Map(d, func(kv rdd.Pair[string, int]) string { return fmt.Sprint(kv.Key, "=", kv.Value) })
}

// newCrashProgram draws a program.
func newCrashProgram(r *rand.Rand) *crashProgram {
	seconds := func(n int) time.Duration { return time.Duration(1+r.IntN(n)) * time.Second }
	p := &crashProgram{
		input: make([][]rdd.Pair[string, int], 6+r.IntN(14)), slots: 1 + r.IntN(3), maxParts: 1 + r.IntN(4),
		timeout: seconds(4), length: seconds(5), slide: seconds(3),
	}
	for i := range p.input {
		for range r.IntN(6) {
			p.input[i] = append(p.input[i], rdd.KV(string(rune('a'+r.IntN(8))), r.IntN(10)))
		}
	}
	var names []string
	for name := range crashOperators {
		names = append(names, name)
	}
	slices.Sort(names)
	r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	p.operators = names[:1+r.IntN(2)]
	p.settings = []string{
		fmt.Sprintf("checkpoint.interval=%s", seconds(4)), fmt.Sprintf("streaming.maxPendingBatches=%d", 1+r.IntN(3)),
		fmt.Sprintf("streaming.concurrentJobs=%d", 1+r.IntN(3)),
		"streaming.stopGracefullyOnShutdown=false",
	}
	return p
}

// build declares the program with states of so many partitions.
func (p *crashProgram) build(parts int) BuildFunc {
	return func(ssc *StreamingContext) error {
		in := Map(QueueStream(ssc, p.input, 2), func(kv rdd.Pair[string, int]) rdd.Pair[string, int] {
			_ = p.reach(crashReads)
			return kv
		})
		in = Transform(in, func(_ Batch, r *rdd.RDD[rdd.Pair[string, int]]) *rdd.RDD[rdd.Pair[string, int]] {
			_ = p.reach(crashGenerates)
			return r
		})
		for i, name := range p.operators {
			ForEachBatch(crashOperators[name](p, in, Partitions(parts)).Named(name), func(b Batch, rows []string) error { return p.output(i, b, rows) })
		}
		ForEachBatch(Count(in), func(b Batch, _ []int64) error {
			if b.Seq >= uint64(len(p.input)) {
				ssc.Stop()
			}
			return nil
		})
		return nil
	}
}

// output notes what an output was given.
func (p *crashProgram) output(i int, b Batch, rows []string) error {
	if err := p.reach(crashBeginsOutput); err != nil {
		return err
	}
	slices.Sort(rows)
	all := b.Time.Format("05 ") + strings.Join(rows, " ")
	p.mu.Lock()
	if before, is := p.out[i][b.Seq]; is && before != all {
		p.repeated = append(p.repeated, fmt.Sprintf("%s of batch %d: %q at first, then %q", p.operators[i], b.Seq, before, all))
	}
	if b.Seq <= uint64(len(p.input)) { // more come before the end is heard
		p.out[i][b.Seq] = all
	}
	p.mu.Unlock()
	return p.reach(crashEndsOutput)
}

// crash is where a job is to die.
type crash struct {
	at   crashStep
	nth  int
	lost bool          // with its machine
	bad  bool          // a manifest is gone then
	down time.Duration // until it is started again
}

// run runs the program to its end, through the given deaths.
func (p *crashProgram) run(r *rand.Rand, crashes []crash) error {
	p.out, p.repeated = nil, nil
	for range p.operators {
		p.out = append(p.out, make(map[uint64]string))
	}
	store, address, forget := newFaultyStore()
	defer forget()
	store.on = p.store
	memory, err := launch.OpenLog("", nil)
	if err != nil {
		return err
	}
	log := &crashLog{Log: memory, crasher: p.crasher}
	for i := 0; ; i++ {
		c := crash{}
		if i < len(crashes) {
			c = crashes[i]
		}
		ctx, kill := context.WithTimeout(context.Background(), time.Minute)
		p.arm(kill, c.at, c.nth)
		err := p.runOnce(ctx, log, 1+r.IntN(p.maxParts), address)
		kill()
		switch {
		case p.died():
			err = nil
		case err != nil || ctx.Err() != nil && !p.died():
			return errors.Join(err, p.wrong())
		default:
			return p.wrong()
		}
		if c.lost {
			log.lose()
		} else if err := log.flush(context.Background()); err != nil {
			return err
		}
		if manifests := store.names(func(key string) bool { return strings.HasSuffix(key, ".manifest") }); c.bad && len(manifests) > 0 {
			store.remove(manifests[r.IntN(len(manifests))])
			p.lost++
		}
		if state, err := log.Recover(context.Background()); err != nil {
			return err
		} else if state.Last == nil {
			atHalfASecond() // so that the first batch has the time that it would have had
		} else {
			time.Sleep(c.down)
		}
	}
}

// atHalfASecond waits for the first half second of a minute.
func atHalfASecond() {
	time.Sleep(time.Until(time.Now().Truncate(time.Minute).Add(time.Minute + 500*time.Millisecond)))
}

// wrong returns what outputs that came again differ in.
func (p *crashProgram) wrong() error {
	if p.repeated == nil {
		return nil
	}
	return errors.New(strings.Join(p.repeated, "; "))
}

// runOnce runs the program until it ends or dies.
func (p *crashProgram) runOnce(ctx context.Context, log plan.Log, parts int, store string) error {
	a := NewApp("crash")
	for _, s := range append(p.settings, "checkpoint.store="+store) {
		if err := a.opts.conf.Set(s); err != nil {
			return err
		}
	}
	j, err := a.newStream(time.Second, p.build(parts))
	if err != nil {
		return err
	}
	j.Log, j.Stdout, j.Durable, j.Batches = slog.New(slog.DiscardHandler), io.Discard, true, log
	return j.Run(ctx, ctx, &launch.Local{Slots: p.slots})
}

// envNumber returns a number that the environment sets, or another one.
func envNumber(t *testing.T, name string, otherwise int) int {
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// schedulesEach is how many schedules of deaths are tried on one program.
const schedulesEach = 25

// A job that dies at any step of a batch's life, and is started again, ends with the
// states and the outputs of one that never died. HIBANA_SCHEDULES is how many schedules
// of deaths are tried, HIBANA_SEED chooses them. Programs are tried beside each other: a
// schedule takes 20 ms of a processor, of which the generation of batches and the tasks are
// half.
func TestCrashMatrix(t *testing.T) {
	seed := envNumber(t, "HIBANA_SEED", int(time.Now().UnixNano()%1e9))
	schedules := envNumber(t, "HIBANA_SCHEDULES", 150)
	began := time.Now()
	total := crashTotal{kills: make(map[crashStep]int), by: make(map[string]int)}
	t.Run("programs", func(t *testing.T) { // as many at a time as there are processors
		for i := 0; i*schedulesEach < schedules; i++ {
			program, n := seed+i, min(schedulesEach, schedules-i*schedulesEach)
			t.Run(fmt.Sprint(program), func(t *testing.T) {
				t.Parallel()
				total.run(t, program, n)
			})
		}
	})
	t.Logf("HIBANA_SEED=%d: %d schedules in %s; programs: %v", seed, total.ran, time.Since(began).Round(time.Millisecond), total.by)
	for _, s := range crashSteps {
		t.Logf("%6d deaths %s", total.kills[s], s)
		if total.kills[s] < 20 && schedules >= 5000 {
			t.Errorf("a job died %d times %s, at least 20 are wanted", total.kills[s], s)
		}
	}
}

// crashTotal is what came of all programs.
//
// THREADING: mu guards all below it.
type crashTotal struct {
	mu     sync.Mutex
	ran    int // schedules
	failed int // programs
	kills  map[crashStep]int
	by     map[string]int // programs with an operator
}

// enoughFailed is how many programs may fail until no other is tried.
const enoughFailed = 5

// run tries a program.
func (c *crashTotal) run(t *testing.T, program, schedules int) {
	c.mu.Lock()
	enough := c.failed >= enoughFailed
	c.mu.Unlock()
	if enough {
		t.Skip("enough have failed")
	}
	r := rand.New(rand.NewPCG(uint64(program), 0))
	p, kills, ran := newCrashProgram(r), make(map[crashStep]int), 0
	synctest.Test(t, func(t *testing.T) { ran = p.survives(t, r, schedules, kills) })
	c.mu.Lock()
	defer c.mu.Unlock()
	for step, n := range kills {
		c.kills[step] += n
	}
	for _, o := range p.operators {
		c.by[o]++
	}
	c.ran += ran
	if t.Failed() {
		c.failed++
		t.Logf("HIBANA_SEED=%d HIBANA_SCHEDULES=%d repeats the program", program, schedulesEach)
	}
}

// survives runs a program without a death, then through schedules of deaths.
func (p *crashProgram) survives(t *testing.T, r *rand.Rand, schedules int, kills map[crashStep]int) (ran int) {
	atHalfASecond()
	p.crasher = &crasher{steps: make(map[crashStep]int), kills: kills}
	if err := p.run(r, nil); err != nil {
		t.Errorf("without a death: %v", err)
		return 0
	}
	want, reached := p.out, p.steps
	for ; ran < schedules; ran++ {
		atHalfASecond()
		var crashes []crash
		for range 1 + r.IntN(3) {
			at := crashSteps[r.IntN(len(crashSteps))]
			if rare := crashRare[r.IntN(len(crashRare))]; reached[rare] > 0 && r.IntN(8) == 0 {
				at = rare
			}
			crashes = append(crashes, crash{at, 1 + r.IntN(max(1, reached[at])), r.IntN(2) == 0, len(crashes) == 0 && r.IntN(4) == 0, time.Duration(r.IntN(3000)) * time.Millisecond})
		}
		p.crasher = &crasher{steps: make(map[crashStep]int), kills: kills}
		err := p.run(r, crashes)
		if err == nil {
			err = p.differs(want)
		}
		if err != nil {
			t.Errorf("%v with %v in at most %d partitions, %v, through %v: %v", p.operators, p.settings, p.maxParts, []time.Duration{p.timeout, p.length, p.slide}, crashes, err)
			return ran
		}
	}
	return ran
}

// differs says in what the outputs differ from those that are wanted.
func (p *crashProgram) differs(want []map[uint64]string) error {
	for i, all := range want {
		for seq := uint64(1); seq <= uint64(len(p.input)); seq++ {
			if p.out[i][seq] != all[seq] {
				return fmt.Errorf("%s of batch %d: %q, not %q", p.operators[i], seq, p.out[i][seq], all[seq])
			}
		}
	}
	return nil
}
