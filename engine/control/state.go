package control

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/hibana-engine/hibana/engine/wire"
)

// state is what the nodes agree on. It changes by commands only.
type state struct {
	clusterID   string
	jobs        map[uint64]*job      // by incarnation
	submissions map[string]uint64    // submission id to incarnation
	executors   map[string]*executor // by id
	drivers     map[string]admission // by node: whose data directory is which

	bytes  int // sizes of all jobs
	budget int // for them
}

// job is one job and its batch log.
type job struct {
	Spec      wire.JobSpec          `msgpack:"spec"`
	State     wire.JobState         `msgpack:"state"`
	Reason    string                `msgpack:"why"`
	Submitted int64                 `msgpack:"at"`
	Ended     int64                 `msgpack:"end"`
	Epoch     uint64                `msgpack:"epoch"` // 0 before the first driver
	Node      string                `msgpack:"node"`
	Crashes   int                   `msgpack:"crash"` // drivers that died since an output was done
	Header    []byte                `msgpack:"h"`
	Values    []wire.Value          `msgpack:"vals"`
	Last      wire.Pending          `msgpack:"last"`  // Seq 0 before the first batch; its Done is unused
	Pending   []wire.Pending        `msgpack:"pend"`  // Invariant: Seq ascends and is at most Last.Seq
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
}

// newState returns the state before the first command.
func newState() *state {
	return &state{
		jobs:        make(map[uint64]*job),
		submissions: make(map[string]uint64),
		executors:   make(map[string]*executor),
		drivers:     make(map[string]admission),
		budget:      maxStateBytes,
	}
}

// clone returns a copy that later commands don't change. Payloads are shared:
// nothing writes to them.
func (s *state) clone() *state {
	c := &state{
		clusterID:   s.clusterID,
		jobs:        make(map[uint64]*job, len(s.jobs)),
		submissions: maps.Clone(s.submissions),
		executors:   make(map[string]*executor, len(s.executors)),
		drivers:     maps.Clone(s.drivers),
		bytes:       s.bytes,
		budget:      s.budget,
	}
	for inc, j := range s.jobs {
		c.jobs[inc] = j.clone()
	}
	for id, e := range s.executors {
		copied := *e
		c.executors[id] = &copied
	}
	return c
}

// clone returns a copy that shares payloads only.
func (j *job) clone() *job {
	c := *j
	c.Values = slices.Clone(j.Values)
	c.Pending = slices.Clone(j.Pending)
	for i := range c.Pending {
		c.Pending[i].Done = slices.Clone(c.Pending[i].Done)
	}
	c.Processes = maps.Clone(j.Processes)
	c.Refused = maps.Clone(j.Refused)
	return &c
}

// find returns the job that a reference names.
func (s *state) find(ref wire.JobRef) (*job, error) {
	inc := ref.Incarnation
	if inc == 0 {
		inc = s.submissions[ref.Submission]
	}
	if j := s.jobs[inc]; j != nil {
		return j, nil
	}
	if ref.Incarnation == 0 {
		return nil, fmt.Errorf("%w: submission %q; engine-submit list shows the jobs", wire.ErrNoJob, ref.Submission)
	}
	return nil, fmt.Errorf("%w: %d; engine-submit list shows the jobs", wire.ErrNoJob, ref.Incarnation)
}

// driven returns a job that runs under the given driver: what a job's driver
// wants is refused if the job has ended or another driver has it.
func (s *state) driven(incarnation, epoch uint64) (*job, error) {
	j := s.jobs[incarnation]
	switch {
	case j == nil:
		return nil, fmt.Errorf("%w: %d", wire.ErrNoJob, incarnation)
	case epoch != j.Epoch || epoch == 0:
		return nil, fmt.Errorf("%w: job %d is at epoch %d, this driver's is %d", wire.ErrStaleEpoch, incarnation, j.Epoch, epoch)
	case j.State.Final():
		return nil, fmt.Errorf("%w: job %d is %s", wire.ErrJobEnded, incarnation, j.State)
	}
	return j, nil
}

func (c *foundCluster) apply(s *state, _ uint64) (result, error) {
	if s.clusterID == "" {
		s.clusterID = c.ClusterID
	}
	return result{}, nil
}

func (c *submitJob) apply(s *state, index uint64) (result, error) {
	if inc, existed, err := s.submission(c.Spec.Submission, c.Spec.Binary, c.Spec.Name, c.Spec.Args); existed || err != nil {
		return result{index: inc, existed: existed}, err
	}
	live, oldest := s.countJobs()
	if live >= maxLiveJobs {
		return result{}, fmt.Errorf("%w: %d jobs run, which is the limit", wire.ErrTooLarge, live)
	}
	spec := c.Spec
	spec.Incarnation = index
	j := &job{
		Spec: spec, State: wire.JobSubmitted, Submitted: c.At, Processes: make(map[string]jobProcess), Refused: make(map[string]string),
	}
	growth := j.size()
	full := len(s.jobs)-live >= maxEndedJobs
	if full {
		growth -= s.jobs[oldest].size()
	}
	if err := s.room(growth); err != nil {
		return result{}, err
	}
	if full {
		delete(s.submissions, s.jobs[oldest].Spec.Submission)
		delete(s.jobs, oldest)
	}
	s.bytes += growth
	s.jobs[index] = j
	s.submissions[spec.Submission] = index
	return result{index: index}, nil
}

// submission finds the job of a submission that was taken before. One with other
// contents is an error that says wire.ErrSubmissionTaken.
func (s *state) submission(id, binary, name string, args []string) (incarnation uint64, existed bool, err error) {
	inc, ok := s.submissions[id]
	if !ok {
		return 0, false, nil
	}
	if old := s.jobs[inc].Spec; old.Binary != binary || old.Name != name || !slices.Equal(old.Args, args) {
		return 0, false, fmt.Errorf("%w: %q is job %d, with another binary, name or arguments", wire.ErrSubmissionTaken, id, inc)
	}
	return inc, true, nil
}

// countJobs returns how many jobs haven't ended, and the oldest that has.
func (s *state) countJobs() (live int, oldest uint64) {
	for inc, j := range s.jobs {
		if !j.State.Final() {
			live++
		} else if oldest == 0 || inc < oldest {
			oldest = inc
		}
	}
	return live, oldest
}

func (c *assignDriver) apply(s *state, index uint64) (result, error) {
	j := s.jobs[c.Incarnation]
	if j == nil {
		return result{}, fmt.Errorf("%w: %d", wire.ErrNoJob, c.Incarnation)
	}
	if j.State.Final() {
		return result{}, fmt.Errorf("%w: job %d is %s", wire.ErrJobEnded, c.Incarnation, j.State)
	}
	if j.Epoch != c.After {
		return result{}, fmt.Errorf("%w: job %d is at epoch %d, not %d", wire.ErrSequence, c.Incarnation, j.Epoch, c.After)
	}
	j.Epoch, j.Node = index, c.Node
	if j.State == wire.JobSubmitted {
		j.State = wire.JobRunning
	}
	if c.Crashed {
		j.Crashes++
	}
	return result{index: index}, nil
}

func (c *startJob) apply(s *state, _ uint64) (result, error) {
	j, err := s.driven(c.Incarnation, c.Epoch)
	if err != nil {
		return result{}, err
	}
	if len(c.Header) == 0 {
		return result{}, fmt.Errorf("%w: the header of job %d is empty", wire.ErrInvalid, c.Incarnation)
	}
	if j.Header != nil {
		if !bytes.Equal(j.Header, c.Header) {
			return result{}, fmt.Errorf("%w: job %d was started with another header: another graph or parallelism", wire.ErrInvalid, c.Incarnation)
		}
		return result{existed: true}, nil
	}
	if err := s.grow(j, len(c.Header)); err != nil {
		return result{}, err
	}
	j.Header = c.Header
	return result{}, nil
}

func (c *recordValue) apply(s *state, _ uint64) (result, error) {
	j, err := s.driven(c.Incarnation, c.Epoch)
	if err != nil {
		return result{}, err
	}
	if c.Index >= 0 && c.Index < len(j.Values) {
		old := j.Values[c.Index]
		if old.Name != c.Value.Name || !bytes.Equal(old.Data, c.Value.Data) {
			return result{}, fmt.Errorf("%w: value %d of job %d was recorded with another content", wire.ErrSequence, c.Index, c.Incarnation)
		}
		return result{existed: true}, nil
	}
	if c.Index != len(j.Values) {
		return result{}, fmt.Errorf("%w: value %d of job %d, the next is %d", wire.ErrSequence, c.Index, c.Incarnation, len(j.Values))
	}
	if len(j.Values) >= maxValues {
		return result{}, fmt.Errorf("%w: job %d has recorded %d values, which is the limit", wire.ErrTooLarge, c.Incarnation, maxValues)
	}
	if err := s.grow(j, valueBytes+len(c.Value.Name)+len(c.Value.Data)); err != nil {
		return result{}, err
	}
	j.Values = append(j.Values, c.Value)
	return result{}, nil
}

func (c *allocateBatch) apply(s *state, _ uint64) (result, error) {
	j, err := s.driven(c.Incarnation, c.Epoch)
	if err != nil {
		return result{}, err
	}
	if c.Seq == j.Last.Seq && c.Seq != 0 {
		if j.Last.Epoch != c.Epoch || !bytes.Equal(j.Last.Data, c.Data) {
			return result{}, fmt.Errorf("%w: batch %d of job %d is allocated with another content", wire.ErrSequence, c.Seq, c.Incarnation)
		}
		return result{existed: true}, s.complete(j, c.Completions)
	}
	if c.Seq != j.Last.Seq+1 {
		return result{}, fmt.Errorf("%w: batch %d of job %d, the next is %d", wire.ErrSequence, c.Seq, c.Incarnation, j.Last.Seq+1)
	}
	if done := j.wouldComplete(c.Completions); len(j.Pending)-done >= maxPending {
		return result{}, fmt.Errorf("%w: job %d has %d batches that aren't complete, which is the limit", wire.ErrTooLarge, c.Incarnation, maxPending)
	}
	last, pending := j.Last, j.Pending
	j.Last = wire.Pending{Seq: c.Seq, Epoch: c.Epoch, Data: c.Data}
	j.Pending = append(j.Pending, j.Last)
	growth := batchBytes + len(c.Data) + len(c.Data) - len(last.Data) + j.growth(c.Completions)
	if err := s.grow(j, growth); err != nil {
		j.Last, j.Pending = last, pending
		return result{}, err
	}
	j.complete(c.Completions)
	return result{}, nil
}

func (c *completeOutputs) apply(s *state, _ uint64) (result, error) {
	j, err := s.driven(c.Incarnation, c.Epoch)
	if err != nil {
		return result{}, err
	}
	return result{}, s.complete(j, c.Completions)
}

// complete applies completions to a job and accounts for them.
func (s *state) complete(j *job, done []wire.Completion) error {
	if err := s.grow(j, j.growth(done)); err != nil {
		return err
	}
	j.complete(done)
	return nil
}

// wouldComplete counts the batches that completions end.
func (j *job) wouldComplete(done []wire.Completion) int {
	ended := make(map[uint64]bool)
	for _, c := range done {
		if _, found := j.pending(c.Seq); found && c.Output == wire.AllOutputs {
			ended[c.Seq] = true
		}
	}
	return len(ended)
}

// pending finds a batch that isn't complete.
func (j *job) pending(seq uint64) (at int, found bool) {
	return slices.BinarySearchFunc(j.Pending, seq, func(p wire.Pending, seq uint64) int { return cmp.Compare(p.Seq, seq) })
}

// complete applies completions, for which growth accounts; what it doesn't know it ignores, so applying one
// twice does no harm.
func (j *job) complete(done []wire.Completion) {
	for _, c := range done {
		at, found := j.pending(c.Seq)
		if !found {
			continue
		}
		j.Crashes = 0
		if c.Output == wire.AllOutputs {
			j.Pending = slices.Delete(j.Pending, at, at+1)
			continue
		}
		p := &j.Pending[at]
		if i, found := slices.BinarySearch(p.Done, c.Output); !found {
			p.Done = slices.Insert(p.Done, i, c.Output)
		}
	}
}

func (c *stopJob) apply(s *state, _ uint64) (result, error) {
	j, err := s.find(wire.JobRef{Incarnation: c.Incarnation})
	if err != nil {
		return result{}, err
	}
	switch j.State {
	case wire.JobSubmitted: // nothing is planned
		s.end(j, wire.JobFinished, "stopped before it began", j.Submitted)
	case wire.JobRunning:
		j.State = wire.JobStopping
	default:
		return result{existed: true}, nil
	}
	return result{}, nil
}

func (c *endJob) apply(s *state, _ uint64) (result, error) {
	j, err := s.find(wire.JobRef{Incarnation: c.Incarnation})
	if err != nil {
		return result{}, err
	}
	if c.Epoch != 0 && c.Epoch != j.Epoch {
		return result{}, fmt.Errorf("%w: job %d is at epoch %d, this driver's is %d", wire.ErrStaleEpoch, c.Incarnation, j.Epoch, c.Epoch)
	}
	if j.State.Final() {
		return result{existed: true}, nil
	}
	if !c.State.Final() || c.State > wire.JobKilled {
		return result{}, fmt.Errorf("%w: job %d can't end as %s", wire.ErrInvalid, c.Incarnation, c.State)
	}
	s.end(j, c.State, c.Reason, c.At)
	return result{}, nil
}

// end puts the job into a final state and drops its log.
func (s *state) end(j *job, state wire.JobState, reason string, at int64) {
	before := j.size()
	j.State, j.Reason, j.Ended = state, wire.Clip(reason, maxReason), at
	j.Header, j.Values, j.Pending, j.Bytes = nil, nil, nil, 0
	j.Last = wire.Pending{Seq: j.Last.Seq}
	j.Processes, j.Refused = nil, nil
	j.Spec.Secret = ""
	s.bytes += j.size() - before
}
