package remote

import (
	"context"
	"slices"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/wire"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/scheduler"
	"github.com/hibana-engine/hibana/scheduler/shuffle"
)

// TasksServer is what a job executor process offers the job's driver process.
// Both ends know the job's secret.
type TasksServer interface {
	// Work is open as long as the driver uses the executor. The driver sends
	// Hello first, the executor answers Registered. A driver of an older epoch
	// than one seen is refused with ErrStaleEpoch; a newer one ends the streams
	// of those before it, and their tasks; caches stay, shuffle blocks go with their
	// epoch.
	Work(grpc.BidiStreamingServer[Several[ToExecutor], Several[FromExecutor]]) error
}

// ToExecutor is one message of a driver's; exactly one field is set. Order matters: a
// batch is invoked and outputs are named before a Launch refers to them.
type ToExecutor struct {
	Hello   *Hello        `msgpack:"h"`
	Values  *Values       `msgpack:"v"`
	Invoke  *Invoke       `msgpack:"i"`
	Outputs *MapOutputs   `msgpack:"o"`
	Launch  *Launch       `msgpack:"l"`
	Kill    *KillTask     `msgpack:"k"`
	Commit  *CommitAnswer `msgpack:"c"`
	Forget  *Forget       `msgpack:"f"`
	Hold    *Hold         `msgpack:"m"`

	Slots          *Slots          `msgpack:"n"`
	DropCached     *DropCached     `msgpack:"d"`
	ForgetShuffles *ForgetShuffles `msgpack:"s"`
	Receive        *Receive        `msgpack:"r"`
}

// Hello opens the stream.
type Hello struct {
	Incarnation uint64 `msgpack:"inc"`
	Epoch       uint64 `msgpack:"epoch"`
	Executor    string `msgpack:"exec"` // id that the driver expects at this address
	Values      int    `msgpack:"vals"` // how many recorded values follow, in Values
	Header      []byte `msgpack:"head"` // the job's header: fingerprint, parallelism
	Hold        *Hold  `msgpack:"hold"` // models to have before the first task; nil for none
}

// Values hands over recorded values that the program's build needs, in order,
// from index First on. The executor builds when it has as many as Hello says.
type Values struct {
	First  int          `msgpack:"f"`
	Values []wire.Value `msgpack:"v"`
}

// Slots says how many tasks the executor runs at once from now on, of those that it
// registered with: the job's share. Tasks that run go on, also if they are more.
type Slots struct {
	Slots int `msgpack:"n"`
}

// Invoke tells of a batch, or of what a batch program's driver has done.
type Invoke struct {
	Seq        uint64 `msgpack:"seq"` // of the batch; of a batch program counted from 1
	Invocation []byte `msgpack:"i"`   // allocation and lineage hash, or a piece of the program's record, in the engine's encoding
}

// MapOutputs says where a shuffle's blocks are. It replaces what was said under
// the same number.
type MapOutputs struct {
	Number  uint32          `msgpack:"n"`
	Outputs shuffle.Outputs `msgpack:"o"`
}

// Launch starts a task.
type Launch struct {
	ID     scheduler.TaskID `msgpack:"id"`
	Inputs []uint32         `msgpack:"in"` // numbers of MapOutputs
	// Elsewhere are cached partitions that the task may read at other executors.
	Elsewhere []scheduler.HeldBlocks `msgpack:"at,omitempty"`
}

// CommitAsk asks whether a task may commit its output.
type CommitAsk struct {
	ID scheduler.TaskID `msgpack:"id"`
}

// CommitAnswer answers CommitAsk.
type CommitAnswer struct {
	ID      scheduler.TaskID `msgpack:"id"`
	Granted bool             `msgpack:"ok"`
}

// KillTask ends a task.
type KillTask struct {
	ID     scheduler.TaskID `msgpack:"id"`
	Reason string           `msgpack:"why"`
}

// Forget drops what is kept of the batches before Until, which are complete, but for what
// later ones reach back to: of the batches before Keep all is dropped.
type Forget struct {
	Until uint64 `msgpack:"until"`
	Keep  uint64 `msgpack:"keep"`
}

// ForgetShuffles drops which outputs were named of some shuffles of a batch.
type ForgetShuffles struct {
	Batch    uint64 `msgpack:"b"`
	Shuffles []int  `msgpack:"s"`
}

// covers reports whether outputs are named no longer.
func (f *ForgetShuffles) covers(o *shuffle.Outputs) bool {
	return o.Batch == f.Batch && slices.Contains(f.Shuffles, int(o.Shuffle))
}

// DropCached drops the cached partitions of RDDs.
type DropCached struct {
	RDDs []lineage.ID `msgpack:"r"`
}

// Receive says which inputs' receivers the executor runs, in place of what was said before: it
// begins with those that are new to the stream, and ends the others.
type Receive struct {
	Inputs []int32 `msgpack:"i"`
}

// Received is what the receiver of an input tells the input's planner, or that it has ended.
type Received struct {
	Input   int32  `msgpack:"i"`
	Message []byte `msgpack:"m"` // in the connector's encoding
	Ended   bool   `msgpack:"end"`
	Failure string `msgpack:"why"` // why it has ended, "" if nothing more comes
}

// FromExecutor is one message of an executor's; exactly one field is set.
type FromExecutor struct {
	Registered *Registered `msgpack:"r"`
	Invoked    *Invoked    `msgpack:"i"`
	Part       *ResultPart `msgpack:"p"`
	Ended      *TaskEnded  `msgpack:"e"`
	Commit     *CommitAsk  `msgpack:"c"`
	Held       *Held       `msgpack:"m"`
	Received   *Received   `msgpack:"v"`
	Alive      *wire.Alive `msgpack:"a"`
}

// Registered answers Hello.
type Registered struct {
	Fingerprint uint64   `msgpack:"fp"`    // of the graph the executor built
	Graph       []string `msgpack:"graph"` // what the fingerprint is of, if it isn't the header's
	Slots       int      `msgpack:"slots"` // the most tasks that it runs at once
	Failure     string   `msgpack:"why"`   // why the program can't be built here, "" if it was
	Batches     []uint64 `msgpack:"seqs"`  // batches that it has been told of, ascending
	Held        []Held   `msgpack:"held"`  // the answers to Hello's Hold
	// Stored are cached partitions that the executor keeps, of drivers before too; of very
	// many the rest comes with the successes of tasks.
	Stored []scheduler.StoredBlock `msgpack:"st,omitempty"`
}

// Invoked says that an Invoke failed.
type Invoked struct {
	Seq     uint64   `msgpack:"seq"`
	Failure string   `msgpack:"why"`
	Lineage []string `msgpack:"lineage"` // what it generated, if that isn't the driver's
}

// ResultPart is a piece of a result that is larger than MaxPayload. The parts of
// a task come in order before its TaskEnded, whose result is the last piece.
type ResultPart struct {
	ID   scheduler.TaskID `msgpack:"id"`
	Data []byte           `msgpack:"d"`
}

// TaskEnded says how a task ended; exactly one outcome is set.
type TaskEnded struct {
	ID        scheduler.TaskID            `msgpack:"id"`
	Success   *scheduler.Success          `msgpack:"ok"`
	Exception *scheduler.ExceptionFailure `msgpack:"ex"`
	Fetch     *scheduler.FetchFailed      `msgpack:"ff"`
	Missing   *scheduler.BlockMissing     `msgpack:"bm"`
	Killed    *scheduler.TaskKilled       `msgpack:"k"`
	Denied    *scheduler.Denied           `msgpack:"d"`
}

// ModelVersion names a version of a model.
type ModelVersion struct {
	Name   string `msgpack:"n"`
	Digest string `msgpack:"d"` // SHA-256 of its file, hexadecimal
}

// Hold says which versions of models an executor is to have, in place of what
// was said before: it loads those that it lacks, beside its tasks, drops the
// others, and answers Held for each.
type Hold struct {
	Versions []ModelVersion `msgpack:"v"`
}

// Held says that a version is loaded and warm, or why it can't be.
type Held struct {
	Version ModelVersion `msgpack:"v"`
	Failure string       `msgpack:"why"` // "" if it is warm
}

// RegisterTasks offers the service.
func RegisterTasks(r grpc.ServiceRegistrar, s TasksServer) {
	r.RegisterService(wire.Service("Tasks", (*TasksServer)(nil), nil, wire.Bidi("Work", TasksServer.Work)), s)
}

// TasksClient calls the service.
type TasksClient struct{ CC grpc.ClientConnInterface }

// Work calls TasksServer.Work.
func (c TasksClient) Work(ctx context.Context) (grpc.BidiStreamingClient[Several[ToExecutor], Several[FromExecutor]], error) {
	return wire.OpenBidi[Several[ToExecutor], Several[FromExecutor]](ctx, c.CC, "Tasks/Work")
}
