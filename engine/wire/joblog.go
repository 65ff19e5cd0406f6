package wire

import (
	"context"
	"fmt"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/batchlog"
)

// JobLogServer is what engine-driver offers the job driver process that it
// started, over fd 3. The server knows which job the process is of. All that
// writes carries the epoch from Activated; an older one is refused with
// ErrStaleEpoch, and the process ends.
type JobLogServer interface {
	// Attach comes first and returns what the job is.
	Attach(context.Context, *AttachDriver) (*DriverSpec, error)
	// Events tells the process when it becomes the job's driver, of the job's
	// executor processes and of a wish to stop. It stays open.
	Events(*EventsRequest, grpc.ServerStreamingServer[DriverEvent]) error
	// Recover sends what is recorded of the job: a LogEntry for the header, for
	// each value in order, for each batch that others reach back to and each that isn't
	// complete in ascending order, and for the newest batch. It reads what a majority has.
	Recover(*RecoverRequest, grpc.ServerStreamingServer[LogEntry]) error
	// Start records the job's header. The first one stays: a different one is an
	// error that wraps ErrInvalid.
	Start(context.Context, *StartRequest) (*Recorded, error)
	// RecordValue records a result of Value. Its index counts from 0 without gaps.
	RecordValue(context.Context, *ValueRequest) (*Recorded, error)
	// Allocate records a batch along with completions. Its seq follows the last
	// one's, from 1. It returns when a majority has it on disk; when it returns
	// nil nothing can lose it. An outcome that isn't known was read back before.
	Allocate(context.Context, *AllocateRequest) (*Recorded, error)
	// Complete reports that outputs are done. It returns at once: they ride along
	// with the next allocation, or are recorded soon if none comes.
	Complete(context.Context, *CompleteRequest) (*Recorded, error)
	// Report tells how the job is doing, for engine-submit.
	Report(context.Context, *Progress) (*Recorded, error)
	// Published answers a DriverEvent's Publish.
	Published(context.Context, *PublishedModel) (*Recorded, error)
	// Printed answers a DriverEvent's Print, piece by piece: it returns when who asked
	// has taken the piece.
	Printed(context.Context, *Printed) (*Recorded, error)
	// Finish ends the job. The process exits after it.
	Finish(context.Context, *FinishRequest) (*Recorded, error)
}

// AttachDriver introduces the process.
type AttachDriver struct {
	Name string `msgpack:"name"` // of the program, as it calls itself
}

// DriverSpec is what a job driver process needs to know.
type DriverSpec struct {
	Job       JobSpec `msgpack:"job"`
	ClusterID string  `msgpack:"cid"`
	Node      string  `msgpack:"node"` // id of the engine-driver
	// TLS are the files for talking to executor processes, all empty on loopback.
	TLS TLSFiles `msgpack:"tls"`
	// Metrics is the host at which the process serves its metrics, at a port of its own;
	// "" for nowhere.
	Metrics string `msgpack:"met,omitempty"`
}

// EventsRequest opens the stream of events.
type EventsRequest struct{}

// DriverEvent is one event; exactly one field is set.
type DriverEvent struct {
	// Activated: this process is the job's driver from now on. A process that
	// stands by for a failover waits for it.
	Activated *Activated `msgpack:"act"`
	// Members replaces what was said before about the job's executor processes.
	Members *Members `msgpack:"mem"`
	// Stop asks the driver to finish what is planned and to call Finish.
	Stop *StopJob `msgpack:"stop"`
	// Publish asks the driver to bring in a version of a model, or to go back to
	// one.
	Publish *PublishModel `msgpack:"pub"`
	// Print asks for a state, or for the job's offsets.
	Print *PrintEvent `msgpack:"print"`
	// Died tells of an executor process that ended by itself. What is said of the
	// process in its place comes later.
	Died *ProcessDied `msgpack:"died"`
}

// Activated makes a process the job's driver.
type Activated struct {
	Epoch uint64 `msgpack:"epoch"`
}

// Members lists the job's executor processes that are ready, with the slots that the job
// has there: they change as other jobs come and go.
type Members struct {
	Processes []ExecutorProcess `msgpack:"p"` // sorted by executor
	// Expected counts the executors that should have a process.
	Expected int `msgpack:"x"`
	// Slots adds up the slots of those executors, as far as the job may have them: the
	// default parallelism of a job that starts.
	Slots int `msgpack:"s"`
}

// Awaited counts the executors that should take tasks: fewer than are expected if the job
// has a limit of slots, as it has one at least where it runs.
func (m *Members) Awaited() int {
	if m.Slots == 0 { // who says this doesn't count slots
		return m.Expected
	}
	return min(m.Expected, m.Slots)
}

// StopJob asks for a graceful end.
type StopJob struct{}

// RecoverRequest asks for what is recorded.
type RecoverRequest struct {
	Epoch uint64 `msgpack:"epoch"`
}

// LogEntry is a part of what is recorded; exactly one field is set.
type LogEntry struct {
	Header  *Header  `msgpack:"h"`
	Value   *Value   `msgpack:"v"`
	Past    *Pending `msgpack:"b"` // a complete batch that later ones reach back to
	Pending *Pending `msgpack:"p"` // a batch that isn't complete
	Last    *Pending `msgpack:"l"` // the newest batch; its Done says nothing
}

// AddTo adds the entry to what is recorded.
func (e *LogEntry) AddTo(s *batchlog.State) error {
	switch {
	case e.Header != nil:
		s.Header = e.Header.Data
	case e.Value != nil:
		s.Values = append(s.Values, *e.Value)
	case e.Past != nil:
		s.RestorePast(*e.Past)
	case e.Pending != nil:
		s.Restore(*e.Pending, false)
	case e.Last != nil:
		s.Restore(*e.Last, true)
	default:
		return fmt.Errorf("%w: an entry without contents", ErrMalformed)
	}
	return nil
}

// Header is the job's header, opaque to the log.
type Header struct {
	Data []byte `msgpack:"d"`
}

// What is recorded of a job is what every batch log holds.
type (
	// Value is a recorded value.
	Value = batchlog.Value
	// Pending is a batch and which of its outputs are done.
	Pending = batchlog.Batch
	// Completion says that an output of a batch is done. AllOutputs as its output
	// means that the batch is complete.
	Completion = batchlog.Completion
)

// AllOutputs as a completion's output means all of the batch's outputs.
const AllOutputs = batchlog.AllOutputs

// StartRequest records the header, and what kind of program it is of.
type StartRequest struct {
	Epoch  uint64  `msgpack:"epoch"`
	Header []byte  `msgpack:"h"`
	Kind   JobKind `msgpack:"kind"` // programs of earlier versions don't say it
}

// ValueRequest records a value.
type ValueRequest struct {
	Epoch uint64 `msgpack:"epoch"`
	Index int    `msgpack:"i"`
	Name  string `msgpack:"n"`
	Data  []byte `msgpack:"d"`
}

// AllocateRequest records a batch.
type AllocateRequest struct {
	Epoch       uint64       `msgpack:"epoch"`
	Seq         uint64       `msgpack:"seq"`
	Allocation  []byte       `msgpack:"a"` // opaque to the log
	Keep        uint64       `msgpack:"k"` // the first batch that this one and later ones reach back to, 0 for none before it
	Completions []Completion `msgpack:"c"` // of earlier batches
}

// CompleteRequest reports completions.
type CompleteRequest struct {
	Epoch       uint64       `msgpack:"epoch"`
	Completions []Completion `msgpack:"c"`
}

// FinishRequest ends the job.
type FinishRequest struct {
	Epoch   uint64 `msgpack:"epoch"`
	Failure string `msgpack:"why"` // why it failed, "" if it ended well
	Asked   bool   `msgpack:"ask"` // it failed since a user had asked it to end
}

// Recorded says that it was done.
type Recorded struct{}

// RegisterJobLog offers the service.
func RegisterJobLog(r grpc.ServiceRegistrar, s JobLogServer) {
	r.RegisterService(Service("JobLog", (*JobLogServer)(nil), []grpc.MethodDesc{
		Unary("Attach", JobLogServer.Attach),
		Unary("Start", JobLogServer.Start),
		Unary("RecordValue", JobLogServer.RecordValue),
		Unary("Allocate", JobLogServer.Allocate),
		Unary("Complete", JobLogServer.Complete),
		Unary("Report", JobLogServer.Report),
		Unary("Published", JobLogServer.Published),
		Unary("Printed", JobLogServer.Printed),
		Unary("Finish", JobLogServer.Finish),
	},
		Downstream("Events", JobLogServer.Events),
		Downstream("Recover", JobLogServer.Recover),
	), s)
}

// JobLogClient calls the service.
type JobLogClient struct{ CC grpc.ClientConnInterface }

// Attach calls JobLogServer.Attach.
func (c JobLogClient) Attach(ctx context.Context, req *AttachDriver) (*DriverSpec, error) {
	return Call[AttachDriver, DriverSpec](ctx, c.CC, "JobLog/Attach", req)
}

// Events calls JobLogServer.Events.
func (c JobLogClient) Events(ctx context.Context) (grpc.ServerStreamingClient[DriverEvent], error) {
	return OpenDownstream[EventsRequest, DriverEvent](ctx, c.CC, "JobLog/Events", &EventsRequest{})
}

// Recover calls JobLogServer.Recover.
func (c JobLogClient) Recover(ctx context.Context, req *RecoverRequest) (grpc.ServerStreamingClient[LogEntry], error) {
	return OpenDownstream[RecoverRequest, LogEntry](ctx, c.CC, "JobLog/Recover", req)
}

// Start calls JobLogServer.Start.
func (c JobLogClient) Start(ctx context.Context, req *StartRequest) error {
	_, err := Call[StartRequest, Recorded](ctx, c.CC, "JobLog/Start", req)
	return err
}

// RecordValue calls JobLogServer.RecordValue.
func (c JobLogClient) RecordValue(ctx context.Context, req *ValueRequest) error {
	_, err := Call[ValueRequest, Recorded](ctx, c.CC, "JobLog/RecordValue", req)
	return err
}

// Allocate calls JobLogServer.Allocate.
func (c JobLogClient) Allocate(ctx context.Context, req *AllocateRequest) error {
	_, err := Call[AllocateRequest, Recorded](ctx, c.CC, "JobLog/Allocate", req)
	return err
}

// Complete calls JobLogServer.Complete.
func (c JobLogClient) Complete(ctx context.Context, req *CompleteRequest) error {
	_, err := Call[CompleteRequest, Recorded](ctx, c.CC, "JobLog/Complete", req)
	return err
}

// Report calls JobLogServer.Report.
func (c JobLogClient) Report(ctx context.Context, p *Progress) error {
	_, err := Call[Progress, Recorded](ctx, c.CC, "JobLog/Report", p)
	return err
}

// Published calls JobLogServer.Published.
func (c JobLogClient) Published(ctx context.Context, req *PublishedModel) error {
	_, err := Call[PublishedModel, Recorded](ctx, c.CC, "JobLog/Published", req)
	return err
}

// Printed calls JobLogServer.Printed.
func (c JobLogClient) Printed(ctx context.Context, p *Printed) error {
	_, err := Call[Printed, Recorded](ctx, c.CC, "JobLog/Printed", p)
	return err
}

// Finish calls JobLogServer.Finish.
func (c JobLogClient) Finish(ctx context.Context, req *FinishRequest) error {
	_, err := Call[FinishRequest, Recorded](ctx, c.CC, "JobLog/Finish", req)
	return err
}
