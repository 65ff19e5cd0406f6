package wire

import (
	"context"

	"google.golang.org/grpc"
)

// ControlServer is what engine-submit asks an engine-driver. Only the leader
// answers, except for Cluster.
type ControlServer interface {
	// Submit takes a job. The client sends SubmitBegin; the server answers
	// whether it needs the binary; the client sends it in chunks, or nothing, and
	// then Commit; the server answers with the job. Until Commit nothing has
	// happened. The same submission id with the same contents is the same job.
	Submit(grpc.BidiStreamingServer[SubmitPart, SubmitAnswer]) error
	// Jobs sends all jobs that are remembered, the newest first.
	Jobs(*JobsRequest, grpc.ServerStreamingServer[JobStatus]) error
	// Status says how one job is.
	Status(context.Context, *JobRef) (*JobStatus, error)
	// Kill ends a job, or asks it to finish. It is no error if it has ended.
	Kill(context.Context, *KillRequest) (*JobStatus, error)
	// Watch sends the status of a job at once, then whenever it changes and at
	// least once a second; it ends after a final state.
	Watch(*JobRef, grpc.ServerStreamingServer[JobStatus]) error
	// Log sends what is recorded of a job that runs, or has ended and left its log, as
	// JobLogServer.Recover does.
	Log(*JobRef, grpc.ServerStreamingServer[LogEntry]) error
	// Print makes a job that runs print a state or its offsets. An error that wraps
	// ErrNotReady says that it has no driver process which could at this moment.
	Print(*PrintRequest, grpc.ServerStreamingServer[PrintPart]) error
	// DropLog drops the log that a job has left.
	DropLog(context.Context, *JobRef) (*Recorded, error)
	// Publish brings a version of a model into a job that runs, or goes back to an
	// earlier one. The client sends PublishBegin, the file in chunks and Commit; the
	// server answers when batches are planned with the version, and before that now
	// and then. An error that wraps ErrVersion is the job's refusal.
	Publish(grpc.BidiStreamingServer[PublishPart, PublishAnswer]) error
	// Executor drains an executor: its jobs go on elsewhere, until the daemon is started
	// again. Or it forgets one that is gone.
	Executor(context.Context, *ExecutorRequest) (*ExecutorAnswer, error)
	// Cluster says who is there. Any driver answers, with what it knows.
	Cluster(context.Context, *ClusterRequest) (*ClusterStatus, error)
}

// SubmitPart is one message of a submission; exactly one field is set.
type SubmitPart struct {
	Begin  *SubmitBegin `msgpack:"b"`
	Chunk  []byte       `msgpack:"c"` // at most ChunkSize, in order
	Commit bool         `msgpack:"x"` // everything was sent: take the job
}

// SubmitBegin opens a submission.
type SubmitBegin struct {
	// Submission is chosen by the client; sending one twice makes one job.
	Submission string   `msgpack:"sub"`
	Name       string   `msgpack:"name"`
	Args       []string `msgpack:"args"`
	Binary     string   `msgpack:"bin"`  // SHA-256, hexadecimal
	Size       int64    `msgpack:"size"` // bytes
	Secrets    []Secret `msgpack:"secrets"`
	Restart    Restart  `msgpack:"restart"`
	Resume     uint64   `msgpack:"resume"` // the ended job from whose state and offsets it goes on, 0 for none
	AllowLoss  bool     `msgpack:"loss"`   // what the program lacks of them may be dropped
	MaxSlots   int      `msgpack:"max"`    // that the job has at once, of all executors; 0 for any number
}

// SubmitAnswer answers SubmitBegin with Need, and Commit with the job.
type SubmitAnswer struct {
	Need        bool   `msgpack:"n"`      // the binary isn't here yet: send it
	Resume      uint64 `msgpack:"resume"` // of SubmitBegin: earlier versions don't know it, and don't say it
	Incarnation uint64 `msgpack:"inc"`
	Existed     bool   `msgpack:"old"` // the submission was taken before
}

// KillRequest ends a job.
type KillRequest struct {
	Job      JobRef `msgpack:"job"`
	Graceful bool   `msgpack:"soft"` // let it finish what is planned
}

// ClusterRequest asks who is there.
type ClusterRequest struct{}

// ClusterStatus says who is there, as the driver that was asked knows it.
type ClusterStatus struct {
	ClusterID string           `msgpack:"id"`
	Node      string           `msgpack:"node"`   // who answers
	Leader    string           `msgpack:"leader"` // address, "" while there is none
	Term      uint64           `msgpack:"term"`   // of Raft
	Drivers   []DriverNode     `msgpack:"drivers"`
	Executors []ExecutorStatus `msgpack:"executors"`
}

// DriverNode is an engine-driver.
type DriverNode struct {
	ID      string `msgpack:"id"`
	Address string `msgpack:"addr"`
	Leader  bool   `msgpack:"lead"`
}

// ExecutorStatus is an executor daemon.
type ExecutorStatus struct {
	ID       string `msgpack:"id"`
	Address  string `msgpack:"addr"` // of its Logs service
	Slots    int    `msgpack:"slots"`
	Used     int    `msgpack:"used"` // slots that jobs have; each has one at least, so that many jobs have more than there are
	Platform string `msgpack:"plat"`
	Alive    bool   `msgpack:"alive"`
	Drained  bool   `msgpack:"drn"`   // it takes no jobs
	Doubtful bool   `msgpack:"doubt"` // the driver that says it knows of no leader, so that it may be long ago
}

// ExecutorRequest drains an executor, or forgets one that is gone.
type ExecutorRequest struct {
	ID     string `msgpack:"id"`
	Forget bool   `msgpack:"gone"`
	Force  bool   `msgpack:"force"` // though jobs wait then
}

// ExecutorAnswer says that it was done.
type ExecutorAnswer struct {
	Existed bool `msgpack:"old"` // it had been done before
}

// RegisterControl offers the service.
func RegisterControl(r grpc.ServiceRegistrar, s ControlServer) {
	r.RegisterService(Service("Control", (*ControlServer)(nil), []grpc.MethodDesc{
		Unary("Status", ControlServer.Status),
		Unary("Kill", ControlServer.Kill),
		Unary("DropLog", ControlServer.DropLog),
		Unary("Executor", ControlServer.Executor),
		Unary("Cluster", ControlServer.Cluster),
	},
		Bidi("Submit", ControlServer.Submit),
		Bidi("Publish", ControlServer.Publish),
		Downstream("Jobs", ControlServer.Jobs),
		Downstream("Watch", ControlServer.Watch),
		Downstream("Log", ControlServer.Log),
		Downstream("Print", ControlServer.Print),
	), s)
}

// ControlClient calls the service. A call's deadline is its context's.
type ControlClient struct{ CC grpc.ClientConnInterface }

// Submit calls ControlServer.Submit.
func (c ControlClient) Submit(ctx context.Context) (grpc.BidiStreamingClient[SubmitPart, SubmitAnswer], error) {
	return OpenBidi[SubmitPart, SubmitAnswer](ctx, c.CC, "Control/Submit")
}

// Jobs calls ControlServer.Jobs.
func (c ControlClient) Jobs(ctx context.Context) (grpc.ServerStreamingClient[JobStatus], error) {
	return OpenDownstream[JobsRequest, JobStatus](ctx, c.CC, "Control/Jobs", &JobsRequest{})
}

// Status calls ControlServer.Status.
func (c ControlClient) Status(ctx context.Context, job JobRef) (*JobStatus, error) {
	return Call[JobRef, JobStatus](ctx, c.CC, "Control/Status", &job)
}

// Kill calls ControlServer.Kill.
func (c ControlClient) Kill(ctx context.Context, req *KillRequest) (*JobStatus, error) {
	return Call[KillRequest, JobStatus](ctx, c.CC, "Control/Kill", req)
}

// Log calls ControlServer.Log.
func (c ControlClient) Log(ctx context.Context, job JobRef) (grpc.ServerStreamingClient[LogEntry], error) {
	return OpenDownstream[JobRef, LogEntry](ctx, c.CC, "Control/Log", &job)
}

// Print calls ControlServer.Print.
func (c ControlClient) Print(ctx context.Context, req *PrintRequest) (grpc.ServerStreamingClient[PrintPart], error) {
	return OpenDownstream[PrintRequest, PrintPart](ctx, c.CC, "Control/Print", req)
}

// DropLog calls ControlServer.DropLog.
func (c ControlClient) DropLog(ctx context.Context, job JobRef) error {
	_, err := Call[JobRef, Recorded](ctx, c.CC, "Control/DropLog", &job)
	return err
}

// Publish calls ControlServer.Publish.
func (c ControlClient) Publish(ctx context.Context) (grpc.BidiStreamingClient[PublishPart, PublishAnswer], error) {
	return OpenBidi[PublishPart, PublishAnswer](ctx, c.CC, "Control/Publish")
}

// Watch calls ControlServer.Watch.
func (c ControlClient) Watch(ctx context.Context, job JobRef) (grpc.ServerStreamingClient[JobStatus], error) {
	return OpenDownstream[JobRef, JobStatus](ctx, c.CC, "Control/Watch", &job)
}

// Executor calls ControlServer.Executor.
func (c ControlClient) Executor(ctx context.Context, req *ExecutorRequest) (*ExecutorAnswer, error) {
	return Call[ExecutorRequest, ExecutorAnswer](ctx, c.CC, "Control/Executor", req)
}

// Cluster calls ControlServer.Cluster.
func (c ControlClient) Cluster(ctx context.Context) (*ClusterStatus, error) {
	return Call[ClusterRequest, ClusterStatus](ctx, c.CC, "Control/Cluster", &ClusterRequest{})
}
