package wire

import (
	"context"

	"google.golang.org/grpc"
)

// WorkerServer is what engine-executor offers the job executor process that it
// started, over fd 3.
type WorkerServer interface {
	// Attach comes first and returns what the process is for.
	Attach(context.Context, *AttachExecutor) (*ExecutorSpec, error)
	// Ready says that the graph is built and where tasks may be sent.
	Ready(context.Context, *ReadyRequest) (*ReadyAnswer, error)
}

// AttachExecutor introduces the process.
type AttachExecutor struct {
	Name string `msgpack:"name"` // of the program, as it calls itself
}

// ExecutorSpec is what a job executor process needs to know.
type ExecutorSpec struct {
	Job      JobSpec  `msgpack:"job"`
	Executor string   `msgpack:"exec"`
	Slots    int      `msgpack:"slots"`
	Host     string   `msgpack:"host"` // to listen on, at a port of its own
	TLS      TLSFiles `msgpack:"tls"`  // all empty on loopback

	// Processes is how many of the job's executor processes share the machine's memory,
	// 0 if that isn't known.
	Processes int `msgpack:"procs,omitempty"`

	// Metrics is the host at which the process serves its metrics, at a port of its own;
	// "" for nowhere.
	Metrics string `msgpack:"met,omitempty"`
}

// ReadyRequest says where the process listens.
type ReadyRequest struct {
	Address string `msgpack:"addr"`
	Metrics string `msgpack:"met,omitempty"` // host:port of its metrics, "" for nowhere
}

// ReadyAnswer says that the daemon will tell the leader.
type ReadyAnswer struct{}

// RegisterWorker offers the service.
func RegisterWorker(r grpc.ServiceRegistrar, s WorkerServer) {
	r.RegisterService(Service("Worker", (*WorkerServer)(nil), []grpc.MethodDesc{
		Unary("Attach", WorkerServer.Attach),
		Unary("Ready", WorkerServer.Ready),
	}), s)
}

// WorkerClient calls the service.
type WorkerClient struct{ CC grpc.ClientConnInterface }

// Attach calls WorkerServer.Attach.
func (c WorkerClient) Attach(ctx context.Context, req *AttachExecutor) (*ExecutorSpec, error) {
	return Call[AttachExecutor, ExecutorSpec](ctx, c.CC, "Worker/Attach", req)
}

// Ready calls WorkerServer.Ready.
func (c WorkerClient) Ready(ctx context.Context, req *ReadyRequest) error {
	_, err := Call[ReadyRequest, ReadyAnswer](ctx, c.CC, "Worker/Ready", req)
	return err
}
