package state

import (
	"fmt"
	"maps"
	"sync/atomic"

	"github.com/hibana-engine/hibana/engine/batchlog"
	"github.com/hibana-engine/hibana/engine/wire"
)

// State is what the nodes agree on. It changes by commands only.
type State struct {
	ClusterID   string
	Jobs        map[uint64]*Job      // by incarnation
	Newest      uint64               // highest incarnation that a job has had
	submissions map[string]uint64    // submission id to incarnation
	Executors   map[string]*executor // by id
	Drivers     map[string]Admission // by node: whose data directory is which

	bytes  int // sizes of all jobs
	budget int // for them

	divided atomic.Pointer[shares] // what shares returned, nil when that has changed
}

// BatchLog is what is recorded of a job: the machine that every batch log is.
type BatchLog = batchlog.State

// Job is one job and its batch log.
type Job struct {
	Spec      wire.JobSpec  `msgpack:"spec"`
	State     wire.JobState `msgpack:"state"`
	Kind      wire.JobKind  `msgpack:"kind"`
	Reason    string        `msgpack:"why"`
	Submitted int64         `msgpack:"at"`
	Ended     int64         `msgpack:"end"`
	Epoch     uint64        `msgpack:"epoch"` // 0 before the first driver
	Node      string        `msgpack:"node"`
	Crashes   int           `msgpack:"crash"`          // drivers that died since an output was done
	Restarts  int           `msgpack:"again"`          // how often it failed and goes on since an output was done
	MaxSlots  int           `msgpack:"max,omitempty"`  // it has at most, of all executors; 0 for any number
	Failed    uint64        `msgpack:"fail"`           // epoch under which it last failed and goes on, 0 for none
	Resumed   uint64        `msgpack:"next,omitempty"` // the job that goes on with this one's log, 0 for none
	Inherited bool          `msgpack:"inh,omitempty"`  // the log is that of the job to resume: no driver has started with it
	BatchLog  `msgpack:",inline"`
	Bytes     int                   `msgpack:"bytes"` // of header, values, batches and the last one
	Processes map[string]jobProcess `msgpack:"-"`     // by executor; see jobImage
	Refused   map[string]string     `msgpack:"-"`     // executors that can't run it, and why
}

// jobProcess is a job's process on an executor.
type jobProcess struct {
	Process  string `msgpack:"p"`
	Instance uint64 `msgpack:"i"`
	Address  string `msgpack:"a"`
	Slots    int    `msgpack:"s"`
}

// executor is an executor daemon.
type executor struct {
	ID       string `msgpack:"id"`
	Start    string `msgpack:"start"`
	Address  string `msgpack:"addr"`
	Slots    int    `msgpack:"slots"`
	Platform string `msgpack:"plat"`
	Lost     uint64 `msgpack:"lost"` // index at which it was lost, 0 while it is there
	Drained  bool   `msgpack:"drn"`  // it is to take no jobs
}

// Admission says which data directory is a driver's.
type Admission struct {
	Copy  string `json:"copy" msgpack:"copy"`
	Index uint64 `json:"index" msgpack:"index"` // of the command that made it so
}

// newState returns the state before the first command.
func newState() *State {
	return &State{
		Jobs:        make(map[uint64]*Job),
		submissions: make(map[string]uint64),
		Executors:   make(map[string]*executor),
		Drivers:     make(map[string]Admission),
		budget:      maxStateBytes,
	}
}

// clone returns a copy that later commands don't change. Payloads are shared:
// nothing writes to them.
func (s *State) clone() *State {
	c := &State{
		ClusterID:   s.ClusterID,
		Jobs:        make(map[uint64]*Job, len(s.Jobs)),
		Newest:      s.Newest,
		submissions: maps.Clone(s.submissions),
		Executors:   make(map[string]*executor, len(s.Executors)),
		Drivers:     maps.Clone(s.Drivers),
		bytes:       s.bytes,
		budget:      s.budget,
	}
	for inc, j := range s.Jobs {
		c.Jobs[inc] = j.Clone()
	}
	for id, e := range s.Executors {
		copied := *e
		c.Executors[id] = &copied
	}
	return c
}

// Clone returns a copy that shares payloads only.
func (j *Job) Clone() *Job {
	c := *j
	c.BatchLog = j.BatchLog.Clone()
	c.Processes = maps.Clone(j.Processes)
	c.Refused = maps.Clone(j.Refused)
	return &c
}

// Find returns the job that a reference names.
func (s *State) Find(ref wire.JobRef) (*Job, error) {
	inc := ref.Incarnation
	if inc == 0 {
		inc = s.submissions[ref.Submission]
	}
	if j := s.Jobs[inc]; j != nil {
		return j, nil
	}
	if ref.Incarnation == 0 {
		return nil, fmt.Errorf("%w: submission %q; engine-submit list shows the jobs", wire.ErrNoJob, ref.Submission)
	}
	return nil, fmt.Errorf("%w: %d; engine-submit list shows the jobs", wire.ErrNoJob, ref.Incarnation)
}

// Driven returns a job that runs under the given driver: what a job's driver
// wants is refused if the job has ended or another driver has it.
func (s *State) Driven(incarnation, epoch uint64) (*Job, error) {
	j := s.Jobs[incarnation]
	switch {
	case j == nil:
		return nil, fmt.Errorf("%w: %d", wire.ErrNoJob, incarnation)
	case epoch != j.Epoch || epoch == 0:
		return nil, fmt.Errorf("%w: job %d is at epoch %d, this driver's is %d",
			wire.ErrStaleEpoch, incarnation, j.Epoch, epoch)
	case j.State.Final():
		return nil, fmt.Errorf("%w: job %d is %s", wire.ErrJobEnded, incarnation, j.State)
	}
	return j, nil
}
