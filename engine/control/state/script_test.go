package state

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/engine/wire"
)

var rewrite = flag.Bool("rewrite", false, "write what commands do into testdata/*.txt")

// TestScripts applies the commands of each script to a machine and compares what
// they do with what is written below each, indented by two spaces: what the command
// answers if that isn't plain success, the lines of the state that are new, and,
// after a minus, those that are gone. A line is the command's index in Raft's log
// and the command:
//
//	found CLUSTER                     admit NODE COPY [INSTEAD]
//	submit ID BINARY [ARG…]           assign JOB NODE AFTER [crashed]
//	start JOB EPOCH HEADER [KIND]     value JOB EPOCH INDEX NAME DATA
//	allocate JOB EPOCH SEQ DATA [keep:SEQ] [DONE…]
//	complete JOB EPOCH DONE…          DONE is SEQ:OUTPUT, or SEQ:* for the batch
//	stop JOB                          end JOB EPOCH STATE [REASON]
//	leave JOB EPOCH STATE [REASON]    resume JOB ID
//	drop JOB
//	register EXECUTOR START SLOTS     lose EXECUTOR START
//	ready EXECUTOR START JOB PROCESS  exited EXECUTOR START JOB PROCESS [REFUSAL]
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
			got, err := runScript(t, want)
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
			t.Errorf("%s: commands do otherwise (-rewrite writes it down); got:\n%s", file, got)
		})
	}
}

// runScript returns the script with what its commands do.
func runScript(t *testing.T, text []byte) ([]byte, error) {
	m := New()
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
		words := strings.Fields(line)
		index, err := strconv.ParseUint(words[0], 10, 64)
		if err != nil || len(words) < 2 {
			return nil, fmt.Errorf("line %d: %q", n, line)
		}
		c, err := parseCommand(words[1], append(slices.Clone(words[2:]), "", "", "", "", ""))
		if err != nil {
			return nil, fmt.Errorf("line %d: %q: %w", n, line, err)
		}
		before := describe(m.state)
		r, err := applyAt(t, m, index, c)
		switch {
		case err != nil:
			fmt.Fprintf(&out, "  refused: %v\n", err)
		case r.existed:
			fmt.Fprintln(&out, "  it was done before")
		}
		after := describe(m.state)
		for _, l := range before {
			if !slices.Contains(after, l) {
				fmt.Fprintf(&out, "  - %s\n", l)
			}
		}
		for _, l := range after {
			if !slices.Contains(before, l) {
				fmt.Fprintf(&out, "  %s\n", l)
			}
		}
	}
	return out.Bytes(), lines.Err()
}

// parseCommand reads a command; args has at least five elements.
func parseCommand(verb string, args []string) (Command, error) {
	rest := strings.TrimSpace(strings.Join(args[2:], " "))
	switch verb {
	case "found":
		return &FoundCluster{ClusterID: args[0]}, nil
	case "admit":
		return &AdmitDriver{Node: args[0], Copy: args[1], Instead: args[2]}, nil
	case "drain":
		return &DrainExecutor{ID: args[0], Start: args[1]}, nil
	case "forget":
		return &ForgetExecutor{ID: args[0]}, nil
	case "restartable":
		return &TakeJob{Spec: wire.JobSpec{Submission: args[0], Name: args[0], Restart: wire.Restart(num(args[1])), Platform: "p"}}, nil
	case "take":
		return &TakeJob{Spec: wire.JobSpec{Submission: args[0], Name: args[0], Binary: args[1], Args: strings.Fields(rest), Platform: "p"}}, nil
	case "resume":
		return &ResumeJob{Spec: wire.JobSpec{Submission: args[1], Name: args[1], Platform: "p", Resume: num(args[0])}}, nil
	case "drop":
		return &DropLog{Incarnation: num(args[0])}, nil
	case "submit":
		return &SubmitJob{Spec: wire.JobSpec{Submission: args[0], Name: args[0], Binary: args[1], Args: strings.Fields(rest), Platform: "p"}}, nil
	case "assign":
		return &AssignDriver{Incarnation: num(args[0]), Node: args[1], After: num(args[2]), Crashed: args[3] == "crashed"}, nil
	case "start":
		return &StartJob{Incarnation: num(args[0]), Epoch: num(args[1]), Header: []byte(args[2]), Kind: kinds[args[3]]}, nil
	case "value":
		return &RecordValue{Incarnation: num(args[0]), Epoch: num(args[1]), Index: int(num(args[2])), Value: wire.Value{Name: args[3], Data: []byte(args[4])}}, nil
	case "allocate":
		return &AllocateBatch{Incarnation: num(args[0]), Epoch: num(args[1]), Seq: num(args[2]), Data: []byte(args[3]), Keep: num(strings.TrimPrefix(args[4], "keep:")), Completions: completions(args[4:])}, nil
	case "complete":
		return &CompleteOutputs{Incarnation: num(args[0]), Epoch: num(args[1]), Completions: completions(args[2:])}, nil
	case "stop":
		return &StopJob{Incarnation: num(args[0])}, nil
	case "end", "leave":
		states := map[string]wire.JobState{"finished": wire.JobFinished, "failed": wire.JobFailed, "killed": wire.JobKilled, "running": wire.JobRunning}
		end := &EndJob{Incarnation: num(args[0]), Epoch: num(args[1]), State: states[args[2]], Reason: strings.TrimSpace(strings.Join(args[3:], " "))}
		if verb == "leave" {
			return (*LeaveJob)(end), nil
		}
		return end, nil
	case "register":
		return &RegisterExecutor{ID: args[0], Start: args[1], Slots: int(num(args[2])), Address: args[0] + ":1", Platform: "p"}, nil
	case "lose":
		return &LoseExecutor{ID: args[0], Start: args[1]}, nil
	case "ready":
		return &ProcessReady{Executor: args[0], Start: args[1], Incarnation: num(args[2]), Process: args[3], Address: args[0] + ":2", Slots: 1}, nil
	case "exited":
		return &ProcessExited{Executor: args[0], Start: args[1], Incarnation: num(args[2]), Process: strings.Trim(args[3], "-"), Fatal: args[4] != "", Reason: args[4]}, nil
	}
	return nil, errors.New("no such command")
}

// kinds are how scripts call kinds of jobs.
var kinds = map[string]wire.JobKind{"": wire.KindUnknown, "stream": wire.KindStream, "batch": wire.KindBatch}

// num reads a number, 0 if it is none.
func num(s string) uint64 {
	n, _ := strconv.ParseUint(s, 10, 64)
	return n
}

// completions reads SEQ:OUTPUT and SEQ:*.
func completions(words []string) (all []wire.Completion) {
	for _, w := range words {
		if seq, output, ok := strings.Cut(w, ":"); ok && seq != "keep" {
			c := wire.Completion{Seq: num(seq), Output: int32(num(output))}
			if output == "*" {
				c.Output = wire.AllOutputs
			}
			all = append(all, c)
		}
	}
	return all
}

// describe writes a state in lines.
func describe(s *State) (lines []string) {
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	if s.ClusterID != "" {
		add("cluster %s", s.ClusterID)
	}
	for _, node := range slices.Sorted(maps.Keys(s.Drivers)) {
		add("driver %s has directory %s since %d", node, s.Drivers[node].Copy, s.Drivers[node].Index)
	}
	for _, id := range slices.Sorted(maps.Keys(s.Executors)) {
		e := s.Executors[id]
		line := fmt.Sprintf("executor %s (%s), %d slots", id, e.Start, e.Slots)
		if e.Lost > 0 {
			line += fmt.Sprintf(", lost at %d", e.Lost)
		}
		if e.Drained {
			line += ", drained"
		}
		add("%s", line)
	}
	for _, inc := range slices.Sorted(maps.Keys(s.Jobs)) {
		lines = append(lines, describeJob(s.Jobs[inc])...)
	}
	return lines
}

// describeJob writes a job in lines.
func describeJob(j *Job) (lines []string) {
	inc := j.Spec.Incarnation
	add := func(format string, args ...any) {
		lines = append(lines, fmt.Sprintf("job %d ", inc)+fmt.Sprintf(format, args...))
	}
	line := fmt.Sprintf("%q is %s", j.Spec.Submission, j.State)
	if j.Kind != wire.KindUnknown {
		line = fmt.Sprintf("%q, a %s, is %s", j.Spec.Submission, j.Kind, j.State)
	}
	if j.Epoch > 0 {
		line += fmt.Sprintf(" under epoch %d on %s", j.Epoch, j.Node)
	}
	if j.Crashes > 0 {
		line += fmt.Sprintf(", %d crashes", j.Crashes)
	}
	if j.Restarts > 0 {
		line += fmt.Sprintf(", started again %d times since epoch %d failed", j.Restarts, j.Failed)
	}
	if j.Reason != "" {
		line += ": " + j.Reason
	}
	add("%s", line)
	if j.Spec.Resume != 0 {
		add("resumes job %d, the first was %d; it has started: %t", j.Spec.Resume, j.Spec.Origin, !j.Inherited)
	}
	if j.Resumed != 0 {
		add("is resumed by job %d", j.Resumed)
	}
	if j.Header != nil {
		add("has header %s", j.Header)
	}
	for i, v := range j.Values {
		add("has value %d: %s=%s", i, v.Name, v.Data)
	}
	if j.Last.Seq > 0 {
		add("has planned up to batch %d", j.Last.Seq)
	}
	for _, p := range j.Pending {
		add("has batch %d of epoch %d: %s, outputs done: %v", p.Seq, p.Epoch, p.Data, p.Done)
	}
	for _, p := range j.Past {
		add("keeps batch %d of epoch %d, which is complete: %s", p.Seq, p.Epoch, p.Data)
	}
	for _, id := range slices.Sorted(maps.Keys(j.Processes)) {
		p := j.Processes[id]
		add("runs on %s: process %s, instance %d at %s", id, p.Process, p.Instance, p.Address)
	}
	for _, id := range slices.Sorted(maps.Keys(j.Refused)) {
		add("is refused by %s: %s", id, j.Refused[id])
	}
	return lines
}
