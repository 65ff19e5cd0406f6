package control

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/engine/wire"
)

// full returns a job at all its limits, with its log in pieces of size bytes.
func full(inc uint64, batches, outputs, values, executors, size int) *job {
	j := &job{
		Spec: wire.JobSpec{Incarnation: inc, Submission: fmt.Sprint(inc)}, State: wire.JobRunning, Epoch: inc + 1,
		Processes: make(map[string]jobProcess), Refused: make(map[string]string),
	}
	data := make([]byte, size)
	for i := range values {
		v := wire.Value{Name: fmt.Sprint(i), Data: data}
		j.Values = append(j.Values, v)
		j.Bytes += valueSize(v)
	}
	done := make([]int32, outputs)
	for i := range done {
		done[i] = int32(i)
	}
	for i := range batches {
		j.Last = wire.Pending{Seq: uint64(i) + 1, Epoch: j.Epoch, Data: data}
		p := j.Last
		p.Done = done
		j.Pending = append(j.Pending, p)
		j.Bytes += size
	}
	for i := range executors {
		id := fmt.Sprint("executor-", i)
		j.Processes[id] = jobProcess{Process: strings.Repeat("p", idLen), Instance: uint64(i), Address: strings.Repeat("h", maxName), Slots: 1}
		j.Refused[id] = strings.Repeat("r", maxReasonText)
	}
	return j
}

// Whatever the limits allow can be written and read back: a node whose snapshot
// can't be read doesn't start.
func TestSnapshotHoldsTheLimits(t *testing.T) {
	for name, tt := range map[string]struct {
		jobs int
		job  func(inc uint64) *job
	}{
		"many batches in many jobs": {300, func(inc uint64) *job { return full(inc, maxPending, 0, 0, 0, 1) }},
		"all of one job": {1, func(inc uint64) *job {
			return full(inc, maxPending, maxOutputs, maxValues, maxExecutors, (maxJobBytes-6*maxValues)/(maxPending+maxValues))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFSM()
			for i := range uint64(tt.jobs) {
				j := tt.job(10 * (i + 1))
				if j.Bytes > maxJobBytes {
					t.Fatalf("%d bytes are no allowed job", j.Bytes)
				}
				f.state.jobs[j.Spec.Incarnation] = j
			}
			for i := range maxExecutors {
				id := fmt.Sprint("executor-", i)
				f.state.executors[id] = &executor{ID: id, Start: strings.Repeat("s", idLen), Address: strings.Repeat("h", maxName), Slots: 1}
			}
			once := saved(t, f)
			s, _, err := readSnapshot(bytes.NewReader(once))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(saved(t, &fsm{state: s}), once) {
				t.Error("it was read as another state")
			}
		})
	}
}
