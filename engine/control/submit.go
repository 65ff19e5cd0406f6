package control

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/binaries"
	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/wire"
)

// Submit implements wire.ControlServer.
func (c *controlService) Submit(stream grpc.BidiStreamingServer[wire.SubmitPart, wire.SubmitAnswer]) error {
	r, err := c.lead.current()
	if err != nil {
		return err
	}
	parts := receive(&c.n.streams, stream.Recv)
	defer parts.leave()
	part, err := parts.next(r.ctx, uploadStall)
	if err != nil {
		return err
	}
	begin := part.Begin
	if begin == nil {
		return fmt.Errorf("%w: a submission begins with what it is", wire.ErrInvalid)
	}
	if err := checkSubmission(begin); err != nil {
		return err
	}
	existed, err := c.submitted(begin)
	if err != nil {
		return err
	}
	need := !existed && !c.n.programs.Use(begin.Binary)
	release := func() {}
	if need {
		if release, err = c.n.files.room.Claim(begin.Size); err != nil {
			return fmt.Errorf("taking the binary: %w", err)
		}
		defer release()
	}
	if err := stream.Send(&wire.SubmitAnswer{Need: need, Resume: begin.Resume}); err != nil {
		return err
	}
	next := parts.pieces(r.ctx, func(p *wire.SubmitPart) ([]byte, bool) { return p.Chunk, p.Commit })
	if need {
		err = c.uploads.take(c.n.programs.Store, begin.Binary, begin.Size, next)
	} else {
		err = awaitCommit(next)
	}
	release()
	if err != nil {
		return err
	}
	answer, err := c.submit(stream.Context(), begin)
	if err != nil {
		return err
	}
	return stream.Send(answer)
}

// checkSubmission refuses what makes no job.
func checkSubmission(b *wire.SubmitBegin) error {
	if err := wire.CheckSubmission(b.Submission); err != nil {
		return err
	}
	if b.Name == "" || len(b.Name) > state.MaxName || !utf8.ValidString(b.Name) || strings.ContainsFunc(b.Name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fmt.Errorf("%w: a job's name has from 1 to %d bytes of text, not %q",
			wire.ErrInvalid, state.MaxName, b.Name)
	}
	if err := wire.CheckSecrets(b.Secrets); err != nil {
		return err
	}
	if err := b.Restart.Check(); err != nil {
		return err
	}
	if b.MaxSlots < 0 {
		return fmt.Errorf("%w: at most %d slots; a job has at least one", wire.ErrInvalid, b.MaxSlots)
	}
	if !binaries.ValidDigest(b.Binary) {
		return fmt.Errorf("%w: %q is no SHA-256 in hexadecimal", wire.ErrInvalid, b.Binary)
	}
	if b.Size <= 0 || b.Size > binaries.MaxSize {
		return fmt.Errorf("%w: a binary of %d bytes; they may have from 1 to %d",
			wire.ErrTooLarge, b.Size, binaries.MaxSize)
	}
	n := 0
	for _, a := range b.Args {
		if n += len(a); strings.ContainsRune(a, 0) {
			return fmt.Errorf("%w: argument %q has a zero byte", wire.ErrInvalid, a)
		}
	}
	if len(b.Args) > state.MaxArgs || n > state.MaxArgBytes {
		return fmt.Errorf("%w: %d arguments of %d bytes, at most %d of %d go",
			wire.ErrTooLarge, len(b.Args), n, state.MaxArgs, state.MaxArgBytes)
	}
	return nil
}

// submitted reports whether a submission was taken before. With other contents
// it is an error that wraps wire.ErrSubmissionTaken. A new one that resumes a job which
// can't be resumed is an error, too.
func (c *controlService) submitted(b *wire.SubmitBegin) (existed bool, err error) {
	spec := specOf(b)
	c.n.View(func(st *state.State) {
		if _, existed, err = st.Submission(&spec); err == nil && !existed && b.Resume != 0 {
			_, err = st.Resumable(b.Resume)
		}
	})
	return existed, err
}

// specOf returns what a submission says of its job.
func specOf(b *wire.SubmitBegin) wire.JobSpec {
	return wire.JobSpec{
		Submission: b.Submission, Name: b.Name, Args: b.Args, Binary: b.Binary, Size: b.Size, Secrets: b.Secrets, Restart: b.Restart,
		Resume: b.Resume, AllowLoss: b.AllowLoss,
	}
}

// submit makes a job of a submission whose binary is here.
func (c *controlService) submit(ctx context.Context, b *wire.SubmitBegin) (*wire.SubmitAnswer, error) {
	existed, err := c.submitted(b)
	if err != nil {
		return nil, err
	}
	spec := specOf(b)
	spec.Secret = security.NewToken()
	if !existed {
		if spec.Platform, err = c.n.programs.check(b.Binary, b.Size); err != nil {
			return nil, err
		}
		if err := c.n.programs.replicate(ctx, b.Binary, b.Size); err != nil {
			return nil, err
		}
	}
	var inc uint64
	taken := func(st *state.State) (existed bool) {
		inc, existed, err = st.Submission(&spec)
		return existed
	}
	job := &state.TakeJob{Spec: spec, At: time.Now().UnixNano(), MaxSlots: b.MaxSlots}
	var take state.Command = job
	if spec.Resume != 0 {
		take = (*state.ResumeJob)(job)
	}
	if err := c.n.Record(take, taken); err != nil {
		return nil, fmt.Errorf("submitting %s: %w", b.Name, err)
	}
	c.n.View(func(st *state.State) { taken(st) })
	if err != nil {
		return nil, err
	}
	c.n.log.Info("a job is submitted", "job", inc, "name", b.Name, "submission", b.Submission, "existed", existed)
	return &wire.SubmitAnswer{Incarnation: inc, Existed: existed}, nil
}
