package wire

import "fmt"

// JobSpec is what a job is, from its submission to its end.
type JobSpec struct {
	Incarnation uint64   `msgpack:"inc"`  // the job's number, counted from 1, never used again
	Submission  string   `msgpack:"sub"`  // the client's id of the submission
	Name        string   `msgpack:"name"` // for people; the file's name unless given
	Args        []string `msgpack:"args"` // the program's command line, without its name
	Binary      string   `msgpack:"bin"`  // SHA-256 of the program, hexadecimal
	Size        int64    `msgpack:"size"` // of the program, bytes
	Platform    string   `msgpack:"plat"` // the program's, such as "linux/amd64"
	// Secret lets the processes of the job talk to each other: both ends of the
	// Tasks and Shuffle services know it.
	Secret string `msgpack:"secret"`
	// Secrets are for the program: its processes get them over fd 3.
	Secrets []Secret `msgpack:"secrets"`
	Restart Restart  `msgpack:"restart"`
	// Resume is the ended job from whose log this one goes on, 0 for none, and Origin the
	// first of those that went on from each other: checkpoints are under its number.
	Resume    uint64 `msgpack:"resume,omitempty"`
	Origin    uint64 `msgpack:"origin,omitempty"`
	AllowLoss bool   `msgpack:"loss,omitempty"` // inputs and states of that job may be dropped
}

// ProcessName is what the job's processes are called in a machine's list of
// processes: its name and its number, as in wordcount-12.
func (s *JobSpec) ProcessName() string { return fmt.Sprintf("%s-%d", s.Name, s.Incarnation) }

// JobRef names a job by its number, or by its submission id.
type JobRef struct {
	Incarnation uint64 `msgpack:"inc"`
	Submission  string `msgpack:"sub"` // if Incarnation is 0
}

// JobsRequest asks for all jobs that are remembered.
type JobsRequest struct{}

// JobState is where a job is in its life.
type JobState uint8

// The states of a job. Those from JobFinished on are final.
const (
	JobSubmitted JobState = iota + 1 // recorded; no driver has been assigned
	JobRunning                       // a driver has been assigned
	JobStopping                      // the driver was asked to finish what is planned
	JobFinished                      // the program ended by itself or was stopped
	JobFailed                        // see the reason
	JobKilled                        // a user ended it
)

// String returns the state for people.
func (s JobState) String() string {
	switch s {
	case JobSubmitted:
		return "submitted"
	case JobRunning:
		return "running"
	case JobStopping:
		return "stopping"
	case JobFinished:
		return "finished"
	case JobFailed:
		return "failed"
	case JobKilled:
		return "killed"
	}
	return "unknown"
}

// Final reports whether the job has ended.
func (s JobState) Final() bool { return s >= JobFinished }

// JobKind says what kind of program a job runs. It is known once the job's first driver
// has built the program.
type JobKind uint8

// The kinds of a job.
const (
	KindUnknown JobKind = iota // no driver has said it yet
	KindStream                 // it runs until it is stopped
	KindBatch                  // it runs from its beginning to its end
)

// String returns the kind for people.
func (k JobKind) String() string {
	switch k {
	case KindStream:
		return "stream"
	case KindBatch:
		return "batch"
	}
	return "-"
}

// JobStatus says how a job is. Times are nanoseconds since 1970 by the clock of
// the driver that led; they are for people and decide nothing.
type JobStatus struct {
	Spec      JobSpec           `msgpack:"spec"` // without the secret
	State     JobState          `msgpack:"state"`
	Kind      JobKind           `msgpack:"kind"`
	Reason    string            `msgpack:"why"`   // why it ended; while it runs what went wrong within a minute
	ReasonOn  string            `msgpack:"whyon"` // id of the executor where, "" for elsewhere
	Trouble   string            `msgpack:"wrong"` // what is wrong at this moment, "" for nothing
	TroubleOn string            `msgpack:"wrngo"` // id of the executor whose log says more, "" for the driver process's
	Node      string            `msgpack:"node"`  // engine-driver that runs, or last ran, its driver process
	Epoch     uint64            `msgpack:"epoch"` // of that process
	Crashes   int               `msgpack:"crash"` // of the driver process since it last got something done
	Restarts  int               `msgpack:"again"` // how often it failed and was started again since an output was done
	LastBatch uint64            `msgpack:"last"`  // newest batch that is allocated
	Pending   int               `msgpack:"pend"`  // batches allocated and not complete
	Submitted int64             `msgpack:"at"`
	Ended     int64             `msgpack:"end"`  // 0 while it runs
	Resumed   uint64            `msgpack:"next"` // the job that went on from this one, 0 for none
	Left      bool              `msgpack:"left"` // it has ended and can be resumed
	MaxSlots  int               `msgpack:"max"`  // it has at most, of all executors; 0 for any number
	Executors []ExecutorProcess `msgpack:"exec"` // one without slots stands by
	Progress  Progress          `msgpack:"prog"`
}

// Progress is what a job driver process tells of itself from time to time. It
// is kept in the leader's memory only.
type Progress struct {
	Batches       uint64  `msgpack:"b"` // completed by this process
	Records       int64   `msgpack:"r"` // in those batches
	RecordsPerSec float64 `msgpack:"s"` // of the last batch
	LastBatch     uint64  `msgpack:"l"` // newest completed
	SchedulingMS  float64 `msgpack:"d"` // how long the last batch waited
	ProcessingMS  float64 `msgpack:"p"` // how long it ran
	Waiting       int     `msgpack:"w"` // batches planned and not begun
	Message       string  `msgpack:"m"` // what is wrong, in words, while it lasts
	Executor      string  `msgpack:"x"` // id of the one whose log says more of it, "" for the driver process's
	// Metrics is the host:port where the process serves its metrics, "" for nowhere.
	Metrics string `msgpack:"mx,omitempty"`
	// Program is how a batch program does, nil for a stream.
	Program *ProgramProgress `msgpack:"g"`
}

// ProgramProgress is how a batch program does in its driver process.
type ProgramProgress struct {
	Step   uint64          `msgpack:"n"` // its newest: an action or a value, counted from 1
	At     string          `msgpack:"a"` // operator and place of the step that runs, "" between steps
	Stages []StageProgress `msgpack:"s"` // of that step, those that run, at most MaxStages
	Tasks  int             `msgpack:"t"` // attempts that counted
	Failed int             `msgpack:"f"` // attempts that didn't
	// So many steps were actions, of which so many stages ran, and their tasks have
	// written so many bytes for shuffles and left out so many records.
	Actions   int   `msgpack:"ac"`
	StagesRun int   `msgpack:"sr"`
	Shuffled  int64 `msgpack:"sb"`
	Bad       int64 `msgpack:"br,omitempty"` // records that were left out
}

// StageProgress is how far a stage is.
type StageProgress struct {
	Name    string `msgpack:"n"` // operator and place
	Tasks   int    `msgpack:"t"`
	Done    int    `msgpack:"d"`
	Running int    `msgpack:"r"`
}

// MaxStages bounds the stages in a ProgramProgress.
const MaxStages = 16

// ExecutorProcess is a job's process on an executor, ready for tasks.
type ExecutorProcess struct {
	Executor string `msgpack:"e"` // id of the executor daemon
	// Instance tells one process from the next of the same executor: a higher
	// one is newer.
	Instance uint64 `msgpack:"i"`
	Address  string `msgpack:"a"` // of its Tasks and Shuffle services
	Slots    int    `msgpack:"s"` // tasks it runs at once: the job's share of the executor's slots
	Of       int    `msgpack:"o"` // these slots, which jobs share; a JobStatus says it
}

// TLSFiles name a node's certificate, its key and the certificate authority
// that all nodes of the cluster share, in PEM. Either all are set or none.
type TLSFiles struct {
	CA   string `msgpack:"ca"`
	Cert string `msgpack:"cert"`
	Key  string `msgpack:"key"`
}
