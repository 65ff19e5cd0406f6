package control

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/binaries"
	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/wire"
)

// Limits of a submission.
const (
	maxUploads    = 8                // clients at a time that send a binary or a version
	uploadStall   = 30 * time.Second // without a word from the client
	replicateWait = time.Minute      // for a majority to have the binary
)

// Submit implements wire.ControlServer.
func (c *controlService) Submit(stream grpc.BidiStreamingServer[wire.SubmitPart, wire.SubmitAnswer]) error {
	r, err := c.s.current()
	if err != nil {
		return err
	}
	parts := receive(&c.s.streams, stream.Recv)
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
	existed, err := c.s.submitted(begin)
	if err != nil {
		return err
	}
	need := !existed && !c.s.files.programs.Use(begin.Binary)
	release := func() {}
	if need {
		if release, err = c.s.files.room.Claim(begin.Size); err != nil {
			return fmt.Errorf("taking the binary: %w", err)
		}
		defer release()
	}
	if err := stream.Send(&wire.SubmitAnswer{Need: need}); err != nil {
		return err
	}
	next := parts.pieces(r.ctx, func(p *wire.SubmitPart) ([]byte, bool) { return p.Chunk, p.Commit })
	if need {
		err = c.s.upload(c.s.files.programs, begin.Binary, begin.Size, next)
	} else {
		err = awaitCommit(next)
	}
	release()
	if err != nil {
		return err
	}
	answer, err := r.submit(stream.Context(), begin)
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
// it is an error that wraps wire.ErrSubmissionTaken.
func (s *server) submitted(b *wire.SubmitBegin) (existed bool, err error) {
	s.View(func(st *state.State) { _, existed, err = st.Submission(b.Submission, b.Binary, b.Name, b.Args) })
	return existed, err
}

// submit makes a job of a submission whose binary is here.
func (r *leadership) submit(ctx context.Context, b *wire.SubmitBegin) (*wire.SubmitAnswer, error) {
	s := r.s
	existed, err := s.submitted(b)
	if err != nil {
		return nil, err
	}
	spec := wire.JobSpec{Submission: b.Submission, Name: b.Name, Args: b.Args, Binary: b.Binary, Size: b.Size, Secret: security.NewToken()}
	if !existed {
		if spec.Platform, err = s.checkProgram(b); err != nil {
			return nil, err
		}
		if err := s.replicate(ctx, b.Binary, b.Size); err != nil {
			return nil, err
		}
	}
	var inc uint64
	taken := func(st *state.State) (existed bool) {
		inc, existed, err = st.Submission(b.Submission, b.Binary, b.Name, b.Args)
		return existed
	}
	if err := s.Record(&state.SubmitJob{Spec: spec, At: time.Now().UnixNano()}, taken); err != nil {
		return nil, fmt.Errorf("submitting %s: %w", b.Name, err)
	}
	s.View(func(st *state.State) { taken(st) })
	if err != nil {
		return nil, err
	}
	s.log.Info("a job is submitted", "job", inc, "name", b.Name, "submission", b.Submission, "existed", existed)
	return &wire.SubmitAnswer{Incarnation: inc, Existed: existed}, nil
}

// checkProgram makes sure that a binary that is here can be run here.
func (s *server) checkProgram(b *wire.SubmitBegin) (platform string, err error) {
	path := s.files.programs.Path(b.Binary)
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("%w: %w", wire.ErrNoBinary, err)
	}
	if info.Size() != b.Size {
		return "", fmt.Errorf("%w: it has %d bytes, not %d as announced", wire.ErrBinary, info.Size(), b.Size)
	}
	if platform, err = binaries.PlatformOfFile(path); err != nil {
		return "", err
	}
	if here := binaries.ThisPlatform(); platform != here {
		return "", fmt.Errorf("%w: it is for %s, the engine-drivers run on %s; build it with GOOS and GOARCH set to that",
			wire.ErrBinary, platform, here)
	}
	return platform, nil
}
