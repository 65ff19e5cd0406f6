package client

import (
	"context"
	"fmt"
	"path/filepath"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/wire"
)

// Submission is a program to run on a cluster.
type Submission struct {
	// ID makes one job of a submission that is sent twice; "" is a new one. See
	// wire.CheckSubmission for what it may hold.
	ID     string
	Name   string   // of the job, for people; "" is the file's name
	Binary string   // path of the program
	Args   []string // its command line, without its name
	// Secrets are for the program, which finds them in its environment.
	Secrets []wire.Secret
	Restart wire.Restart // whether it is started again when it has failed
	// MaxSlots is how many slots the job has at once at most, of all executors; 0 for any
	// number.
	MaxSlots int
	// Resume is the job, which has ended, from whose state and offsets the new one goes
	// on, 0 for none. AllowLoss drops what the program doesn't have of that.
	Resume    uint64
	AllowLoss bool
	// Uploaded is told how many bytes of the program were sent, the first time
	// with 0 when the cluster asks for it. It isn't called when the cluster has
	// the program. It may be nil.
	Uploaded func(sent, total int64)
}

// Job is what became of a submission.
type Job struct {
	wire.JobRef      // with both the number and the submission id
	Existed     bool // the submission had been taken before
}

// NewID returns a submission id that nobody has used.
func NewID() string { return "s-" + security.NewToken()[:16] }

// Submit sends a program to the cluster and returns when its job is recorded.
// When ctx ends before that there is no job, unless the leader was recording it
// just then; sending the same ID again tells.
func (c *Client) Submit(ctx context.Context, s Submission) (Job, error) {
	u, err := openUpload(s)
	if err != nil {
		return Job{}, err
	}
	defer u.file.Close()
	err = c.persist(ctx, func(ctx context.Context, leader grpc.ClientConnInterface, advanced func()) error {
		return u.send(ctx, wire.ControlClient{CC: leader}, advanced)
	})
	if err != nil {
		return Job{}, fmt.Errorf("submitting %s: %w", s.Binary, err)
	}
	return u.job, nil
}

// upload is a submission on its way.
type upload struct {
	outgoing
	begin     wire.SubmitBegin
	committed bool // an attempt has asked for the job: it may exist
	job       Job
}

// openUpload opens the program and takes its digest.
func openUpload(s Submission) (*upload, error) {
	if s.ID == "" {
		s.ID = NewID()
	}
	if err := wire.CheckSubmission(s.ID); err != nil {
		return nil, err
	}
	out, err := openFile("program", s.Binary, wire.ErrBinary, s.Uploaded)
	if err != nil {
		return nil, err
	}
	if s.Name == "" {
		s.Name = filepath.Base(s.Binary)
	}
	return &upload{outgoing: out, begin: wire.SubmitBegin{Submission: s.ID, Name: s.Name, Args: s.Args, Binary: out.digest, Size: out.size, Secrets: s.Secrets, Restart: s.Restart, Resume: s.Resume, AllowLoss: s.AllowLoss, MaxSlots: s.MaxSlots}}, nil
}

// send is one attempt, with one leader.
func (u *upload) send(ctx context.Context, control wire.ControlClient, advanced func()) error {
	call, cancel := withIdle(ctx, attempt)
	defer cancel()
	stream, err := control.Submit(call.ctx)
	if err != nil {
		return call.verdict(err)
	}
	x := exchange[wire.SubmitPart, wire.SubmitAnswer]{stream}
	if err := x.send(&wire.SubmitPart{Begin: &u.begin}); err != nil {
		return call.verdict(err)
	}
	answer, err := x.receive()
	if err != nil {
		return call.verdict(err)
	}
	if answer.Resume != u.begin.Resume {
		return fmt.Errorf("%w: the engine-driver is of a version that can't resume a job: upgrade it", wire.ErrFormat)
	}
	if answer.Need {
		send := func(chunk []byte) error { return x.send(&wire.SubmitPart{Chunk: chunk}) }
		if err := u.sendFile(call, send, advanced); err != nil {
			return call.verdict(err)
		}
	}
	call.alive(longAnswer)
	again := u.committed
	u.committed = true
	if err := x.send(&wire.SubmitPart{Commit: true}); err != nil {
		return call.verdict(err)
	}
	if answer, err = x.receive(); err != nil {
		return call.verdict(err)
	}
	if answer.Incarnation == 0 {
		return fmt.Errorf("%w: the driver took the submission and named no job", wire.ErrMalformed)
	}
	u.job = Job{
		JobRef:  wire.JobRef{Incarnation: answer.Incarnation, Submission: u.begin.Submission},
		Existed: answer.Existed && !again,
	}
	return nil
}
