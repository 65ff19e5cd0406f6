package kernel

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

var rewrite = flag.Bool("rewrite", false, "write what the kernel decides into testdata/*.txt")

// TestScripts feeds the events of each script to a kernel and compares its
// decisions with those written below each event, indented by two spaces.
//
//	config failures=4 setbacks=16 stages=4 wait=10ms
//	add a 2                     executor a with 2 slots
//	resize a 1                  it has 1 from now on
//	lose a [by task]            by task may follow when a is lost already
//	submit 1/0 m0*2 r0*1<-m0    output 0 of batch 1: map stage 0 of 2 tasks, read
//	                            by a result stage of 1; ! after it: indeterminate;
//	                            in=N at its end: reads input N; at=a,- before
//	                            that: a holds a cached block for partition 0;
//	                            kept=N before that: keeps, or reads, what
//	                            another attempt may make otherwise
//	submit 1/0 r0*9[2,5]        partitions 2 and 5 of 9 only
//	ok 1:m0/0#1 [on a]          attempt 1 of partition 0 of map stage 0 of batch 1
//	ok 1:r0/0#0 freed 5ms       it had freed its slot 5 ms before
//	fail, hopeless, interrupt   the same
//	commit 1:r0/0#0 [on a]      it asks whether it may commit its output
//	fetchfail 1:r0/0#0 m0/1 a   it couldn't read partition 1 (* for all) from a
//	blockmiss 1:r0/0#0          a cached block that it needs is gone
//	cut 1/0 m0*2 r0*1<-m0       the job's stages, cut again
//	cancel 1/0, forget 2, tick
//
// A line may begin with the time, such as @10ms.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := runScript(want)
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if bytes.Equal(got, want) {
				return
			}
			if *rewrite {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			t.Errorf("%s: the kernel decides otherwise (-rewrite writes it down):\n%s", file, firstDifference(got, want))
		})
	}
}

func firstDifference(got, want []byte) string {
	g, w := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	i := 0
	for i < len(g) && i < len(w) && g[i] == w[i] {
		i++
	}
	from := max(0, i-3)
	return fmt.Sprintf("line %d\ngot:\n%s\nwant:\n%s", i+1, strings.Join(g[from:min(len(g), i+4)], "\n"), strings.Join(w[from:min(len(w), i+4)], "\n"))
}

// script is the state of a running script.
type script struct {
	kernel *Kernel
	at     time.Duration
	ran    map[Task]string // where a task was launched
}

// runScript returns the script with the decisions that the kernel takes.
func runScript(text []byte) ([]byte, error) {
	s := script{New(testConfig), 0, make(map[Task]string)}
	var out bytes.Buffer
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if strings.HasPrefix(line, "  ") {
			continue
		}
		fmt.Fprintln(&out, line)
		if line == "" || line[0] == '#' {
			continue
		}
		actions, err := s.run(strings.Fields(line))
		if err != nil {
			return nil, fmt.Errorf("line %d: %q: %w", n, line, err)
		}
		for _, a := range actions {
			if l, ok := a.(Launch); ok {
				s.ran[l.Task] = l.Executor
			}
			fmt.Fprintf(&out, "  %s\n", describe(a))
		}
	}
	return out.Bytes(), lines.Err()
}

var testConfig = Config{MaxFailures: 4, MaxSetbacks: 16, MaxStageFailures: 4, LocalityWait: 10 * time.Millisecond}

func (s *script) run(words []string) (actions []Action, err error) {
	if at, ok := strings.CutPrefix(words[0], "@"); ok {
		if s.at, err = time.ParseDuration(at); err != nil {
			return nil, err
		}
		words = words[1:]
	}
	verb, args := words[0], words[1:]
	if verb == "config" {
		s.kernel = New(parseConfig(args))
		return nil, nil
	}
	e, err := s.event(verb, args)
	if err != nil {
		return nil, err
	}
	return s.kernel.Step(s.at, e), nil
}

func (s *script) event(verb string, args []string) (Event, error) {
	for len(args) < 4 {
		args = append(args, "")
	}
	switch verb {
	case "add":
		return ExecutorAdded{args[0], atoi(args[1])}, nil
	case "resize":
		return ExecutorResized{args[0], atoi(args[1])}, nil
	case "lose":
		return ExecutorLost{args[0], args[1] == "by"}, nil
	case "submit":
		return JobSubmitted{parseJob(args[0]), parseStages(args[1:])}, nil
	case "cut":
		return JobCut{parseJob(args[0]), parseStages(args[1:])}, nil
	case "cancel":
		return JobCancelled{parseJob(args[0])}, nil
	case "forget":
		return BatchesForgotten{uint64(atoi(args[0]))}, nil
	case "tick":
		return Tick{}, nil
	case "ok":
		return s.ended(args, Succeeded)
	case "fail":
		return s.ended(args, Failed)
	case "hopeless":
		return s.ended(args, Hopeless)
	case "interrupt":
		return s.ended(args, Interrupted)
	case "blockmiss":
		return s.ended(args, BlockMissing)
	case "commit":
		t := parseTask(args[0])
		if args[1] == "on" {
			return CommitAsked{args[2], t}, nil
		}
		return CommitAsked{s.ran[t], t}, nil
	case "fetchfail":
		e, err := s.ended(args[:1], FetchFailed)
		if err != nil {
			return nil, err
		}
		stage, p, _ := strings.Cut(args[1], "/")
		e.Fetch = Fetch{parseStageID(stage), -1, args[2]}
		if p != "*" {
			e.Fetch.Partition = int32(atoi(p))
		}
		return e, nil
	}
	return nil, fmt.Errorf("no such event: %s", verb)
}

// ended says how a task ended. Where it ran must be told if it wasn't launched,
// or is reported a second time.
func (s *script) ended(args []string, how Ending) (TaskEnded, error) {
	t := parseTask(args[0])
	e := TaskEnded{Executor: s.ran[t], Task: t, How: how}
	delete(s.ran, t)
	if len(args) > 2 && args[1] == "on" {
		e.Executor = args[2]
	}
	if len(args) > 2 && args[1] == "freed" {
		var err error
		if e.Freed, err = time.ParseDuration(args[2]); err != nil {
			return e, err
		}
	}
	if e.Executor == "" {
		return e, fmt.Errorf("%s doesn't run", t)
	}
	return e, nil
}

func parseConfig(args []string) Config {
	c := testConfig
	for _, a := range args {
		name, v, _ := strings.Cut(a, "=")
		switch name {
		case "failures":
			c.MaxFailures = atoi(v)
		case "setbacks":
			c.MaxSetbacks = atoi(v)
		case "stages":
			c.MaxStageFailures = atoi(v)
		case "wait":
			c.LocalityWait, _ = time.ParseDuration(v)
		default:
			panic("no such setting: " + name)
		}
	}
	return c
}

func parseStages(args []string) (stages []Stage) {
	for _, a := range args {
		if a != "" {
			stages = append(stages, parseStage(a))
		}
	}
	return stages
}

// parseStage reads m1*2!<-m0,m2at=a,bin=3, or r0*9[2,5]<-m1, or r0*2to=a,b of a bound stage.
func parseStage(a string) Stage {
	a, input, explicit := strings.Cut(a, "in=")
	a, bound, isBound := strings.Cut(a, "to=")
	a, holders, held := strings.Cut(a, "at=")
	a, kept, keeps := strings.Cut(a, "kept=")
	a, parents, _ := strings.Cut(a, "<-")
	a, indeterminate := strings.CutSuffix(a, "!")
	a, only, some := strings.Cut(strings.TrimSuffix(a, "]"), "[")
	id, n, _ := strings.Cut(a, "*")
	s := Stage{ID: parseStageID(id), Partitions: atoi(n), Indeterminate: indeterminate}
	if s.Bound = isBound; isBound {
		holders, held = bound, true
	}
	if keeps {
		s.Unsteady = []Input{{Ordinal: int32(atoi(kept))}}
	}
	if held {
		s.Holders = strings.Split(strings.ReplaceAll(holders, "-", ""), ",")
	}
	if some {
		s.Only = []int32{}
		for _, p := range strings.FieldsFunc(only, func(r rune) bool { return r == ',' }) {
			s.Only = append(s.Only, int32(atoi(p)))
		}
	}
	s.Input = Input{Ordinal: s.ID}
	if explicit {
		s.Input = Input{DStream: 1, Ordinal: int32(atoi(input))}
	}
	if parents != "" {
		for _, p := range strings.Split(parents, ",") {
			s.Parents = append(s.Parents, parseStageID(p))
		}
	}
	return s
}

func parseStageID(a string) int32 {
	n := int32(atoi(a[1:]))
	if a[0] == 'r' {
		return -1 - n
	}
	return n
}

func parseTask(a string) Task {
	batch, rest, _ := strings.Cut(a, ":")
	stage, rest, _ := strings.Cut(rest, "/")
	p, attempt, _ := strings.Cut(rest, "#")
	return Task{uint64(atoi(batch)), parseStageID(stage), int32(atoi(p)), int32(atoi(attempt))}
}

func parseJob(a string) Job {
	batch, output, _ := strings.Cut(a, "/")
	return Job{uint64(atoi(batch)), int32(atoi(output))}
}

func atoi(a string) int {
	n, err := strconv.Atoi(a)
	if err != nil {
		panic(err)
	}
	return n
}

func describe(a Action) string {
	switch a := a.(type) {
	case Launch:
		return fmt.Sprintf("launch %s on %s, stage attempt %d", a.Task, a.Executor, a.StageAttempt)
	case Kill:
		return fmt.Sprintf("kill %s on %s", a.Task, a.Executor)
	case Accept:
		return fmt.Sprintf("accept %s from %s", a.Task, a.Executor)
	case CommitAnswer:
		if !a.Granted {
			return fmt.Sprintf("deny %s on %s its commit", a.Task, a.Executor)
		}
		return fmt.Sprintf("grant %s on %s its commit", a.Task, a.Executor)
	case OutputLost:
		return fmt.Sprintf("lost %d:%s/%d", a.Batch, stageName(a.Stage), a.Partition)
	case RolledBack:
		return fmt.Sprintf("rolled back %d:%s", a.Batch, stageName(a.Stage))
	case CutAgain:
		return fmt.Sprintf("cut %d/%d again, for %s", a.Job.Batch, a.Job.Output, a.Task)
	case AttemptLost:
		return fmt.Sprintf("%s ended with %s", a.Task, a.Executor)
	case JobDone:
		return fmt.Sprintf("done %d/%d", a.Job.Batch, a.Job.Output)
	case JobFailed:
		s := fmt.Sprintf("failed %d/%d: %s", a.Job.Batch, a.Job.Output, a.Why)
		if a.Tries > 0 {
			s += fmt.Sprintf(", %s on %s, %d tries", a.Task, a.Executor, a.Tries)
		}
		return s
	case Wake:
		return fmt.Sprintf("wake at %s", a.At)
	}
	return fmt.Sprintf("%#v", a)
}
