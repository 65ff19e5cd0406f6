package wire

import (
	"context"

	"google.golang.org/grpc"
)

// LogsServer gives out the output of job processes. Each daemon serves what
// lies on its own disk: engine-driver the job driver process's, engine-executor
// the job executor process's.
type LogsServer interface {
	// Logs sends the end of a job's output, and what follows if asked to; it ends
	// with the job then.
	Logs(*LogsRequest, grpc.ServerStreamingServer[Chunk]) error
}

// LogsRequest asks for the output of a job's process.
type LogsRequest struct {
	Incarnation uint64 `msgpack:"inc"`
	Tail        int64  `msgpack:"tail"` // how many bytes before the end to begin; 0: all that is kept
	Follow      bool   `msgpack:"follow"`
}

// Chunk is a piece of a file, at most ChunkSize.
type Chunk struct {
	Data []byte `msgpack:"d"`
}

// RegisterLogs offers the service.
func RegisterLogs(r grpc.ServiceRegistrar, s LogsServer) {
	r.RegisterService(Service("Logs", (*LogsServer)(nil), nil, Downstream("Logs", LogsServer.Logs)), s)
}

// LogsClient calls the service.
type LogsClient struct{ CC grpc.ClientConnInterface }

// Logs calls LogsServer.Logs.
func (c LogsClient) Logs(ctx context.Context, req *LogsRequest) (grpc.ServerStreamingClient[Chunk], error) {
	return OpenDownstream[LogsRequest, Chunk](ctx, c.CC, "Logs/Logs", req)
}

// BinariesServer gives out programs. Every engine-driver serves what it has.
type BinariesServer interface {
	// Fetch sends a program from an offset on. One that the driver hasn't is an
	// error that wraps ErrNoBinary: ask another. The receiver verifies the digest.
	Fetch(*FetchRequest, grpc.ServerStreamingServer[Chunk]) error
	// Replicate makes the driver fetch a program from another driver and keep it.
	Replicate(context.Context, *ReplicateRequest) (*ReplicateAnswer, error)
}

// FetchRequest asks for a program.
type FetchRequest struct {
	Binary string `msgpack:"bin"` // SHA-256, hexadecimal
	Offset int64  `msgpack:"off"` // bytes that the caller has
}

// ReplicateRequest asks a driver to keep a program.
type ReplicateRequest struct {
	Binary string `msgpack:"bin"`
	Size   int64  `msgpack:"size"`
	Node   string `msgpack:"node"` // id of the driver that has it
}

// ReplicateAnswer says that the program is on disk.
type ReplicateAnswer struct{}

// RegisterBinaries offers the service.
func RegisterBinaries(r grpc.ServiceRegistrar, s BinariesServer) {
	r.RegisterService(Service("Binaries", (*BinariesServer)(nil), []grpc.MethodDesc{
		Unary("Replicate", BinariesServer.Replicate),
	}, Downstream("Fetch", BinariesServer.Fetch)), s)
}

// BinariesClient calls the service.
type BinariesClient struct{ CC grpc.ClientConnInterface }

// Fetch calls BinariesServer.Fetch.
func (c BinariesClient) Fetch(ctx context.Context, req *FetchRequest) (grpc.ServerStreamingClient[Chunk], error) {
	return OpenDownstream[FetchRequest, Chunk](ctx, c.CC, "Binaries/Fetch", req)
}

// Replicate calls BinariesServer.Replicate.
func (c BinariesClient) Replicate(ctx context.Context, req *ReplicateRequest) (*ReplicateAnswer, error) {
	return Call[ReplicateRequest, ReplicateAnswer](ctx, c.CC, "Binaries/Replicate", req)
}

// ExecutorsServer is what an executor daemon says to the leader.
type ExecutorsServer interface {
	// Follow is open as long as the daemon follows this leader. The daemon sends
	// Register first, then Heartbeat every HeartbeatInterval and what happens to
	// its processes. The leader answers with the whole list of jobs that the
	// daemon should run a process for, at once and whenever it changes, and with
	// Alive every HeartbeatInterval.
	// An id that another daemon uses is an error that wraps ErrExecutorTaken.
	Follow(grpc.BidiStreamingServer[DaemonReport, Assignments]) error
}

// DaemonReport is what a daemon reports; exactly one field is set.
type DaemonReport struct {
	Register  *Register      `msgpack:"r"`
	Heartbeat *Heartbeat     `msgpack:"h"`
	Ready     *ProcessReady  `msgpack:"p"`
	Exited    *ProcessExited `msgpack:"x"`
}

// Register says who a daemon is. After a change of leader the daemon sends
// ProcessReady again for each process that it has.
type Register struct {
	ID        string `msgpack:"id"`    // unique in the cluster, kept over restarts
	Start     string `msgpack:"start"` // random, chosen when the daemon started
	ClusterID string `msgpack:"cid"`   // of the cluster it followed before, "" at first
	Address   string `msgpack:"addr"`  // of its Logs service
	Slots     int    `msgpack:"slots"`
	Platform  string `msgpack:"plat"` // such as "linux/amd64"
}

// Heartbeat says that a daemon is alive.
type Heartbeat struct{}

// ProcessReady says that a job's process on the executor takes tasks.
type ProcessReady struct {
	Incarnation uint64 `msgpack:"inc"`
	Process     string `msgpack:"proc"` // random, one for each process
	Address     string `msgpack:"addr"` // of its Tasks and Shuffle services
	Slots       int    `msgpack:"slots"`
}

// ProcessExited says that a process ended. The daemon starts another, with
// back-off, as long as the job is assigned to it.
type ProcessExited struct {
	Incarnation uint64 `msgpack:"inc"`
	Process     string `msgpack:"proc"`  // "" if it never was ready
	Reason      string `msgpack:"why"`   // exit status and the last lines it wrote
	Crashes     int    `msgpack:"n"`     // in a row, without a minute of life between
	Fatal       bool   `msgpack:"fatal"` // it will not be tried again on this executor
	// Died tells the job's driver of a process that took tasks and ended by itself.
	Died *ProcessDied `msgpack:"died"`
}

// ProcessDied says that a process of a job exited or crashed although nobody ended
// it: what it ran may be to blame.
type ProcessDied struct {
	Executor  string `msgpack:"e"`
	Address   string `msgpack:"a"` // of its Tasks service
	Status    string `msgpack:"s"` // such as "exit status 2"
	LastWords string `msgpack:"w"` // what it wrote last
}

// Assignments lists the jobs that a daemon should run a process for; processes
// of other jobs it ends. ClusterID is for the daemon to remember. A long list comes
// in several messages, see SendAssignments. A message that sets Alive lists
// nothing: it says that the leader is there and the list before stands.
type Assignments struct {
	ClusterID string       `msgpack:"cid"`
	Jobs      []Assignment `msgpack:"jobs"`
	More      bool         `msgpack:"more"` // the list goes on in the next message
	Alive     *Alive       `msgpack:"a"`
}

// Alive says every HeartbeatInterval that the sender, an executor or a leader, is
// there: a process that hangs keeps its connection.
type Alive struct{}

// Assignment is one job for an executor.
type Assignment struct {
	Spec  JobSpec `msgpack:"spec"`
	Slots int     `msgpack:"slots"` // tasks that its process runs at once at most; how many is told its driver, see Members
}

// RegisterExecutors offers the service.
func RegisterExecutors(r grpc.ServiceRegistrar, s ExecutorsServer) {
	r.RegisterService(Service("Executors", (*ExecutorsServer)(nil), nil, Bidi("Follow", ExecutorsServer.Follow)), s)
}

// ExecutorsClient calls the service.
type ExecutorsClient struct{ CC grpc.ClientConnInterface }

// Follow calls ExecutorsServer.Follow.
func (c ExecutorsClient) Follow(ctx context.Context) (grpc.BidiStreamingClient[DaemonReport, Assignments], error) {
	return OpenBidi[DaemonReport, Assignments](ctx, c.CC, "Executors/Follow")
}
