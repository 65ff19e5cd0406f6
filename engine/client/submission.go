package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/wire"
)

// Submission is a program to run on a cluster.
type Submission struct {
	// ID makes one job of a submission that is sent twice; "" is a new one. See
	// checkID for what it may hold.
	ID     string
	Name   string   // of the job, for people; "" is the file's name
	Binary string   // path of the program
	Args   []string // its command line, without its name
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
func NewID() string { return "s-" + wire.NewToken()[:16] }

// maxID bounds a submission id, in bytes.
const maxID = 128

// checkID makes sure that a submission id can be told from a job's number and
// goes on a command line: letters, digits, and -_.: after the first, with at
// least one that is no digit.
func checkID(id string) error {
	if len(id) > maxID {
		return fmt.Errorf("%w: a submission id has at most %d characters", wire.ErrInvalid, maxID)
	}
	number := true
	for _, r := range id {
		switch {
		case '0' <= r && r <= '9':
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', r == '-', r == '_', r == '.', r == ':':
			number = false
		default:
			return fmt.Errorf("%w: a submission id holds letters, digits, '-', '_', '.' and ':'", wire.ErrInvalid)
		}
	}
	if number || strings.HasPrefix(id, "-") {
		return fmt.Errorf("%w: a submission id begins with a letter or digit and holds a letter, or it would be taken for a flag or a job's number", wire.ErrInvalid)
	}
	return nil
}

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
	begin     wire.SubmitBegin
	file      *os.File
	uploaded  func(sent, total int64)
	furthest  int64 // bytes sent by the attempt that came furthest
	committed bool  // an attempt has asked for the job: it may exist
	job       Job
}

// openUpload opens the program and takes its digest.
func openUpload(s Submission) (_ *upload, err error) {
	if s.ID == "" {
		s.ID = NewID()
	}
	if err := checkID(s.ID); err != nil {
		return nil, fmt.Errorf("submission %q: %w", s.ID, err)
	}
	f, err := os.Open(s.Binary)
	if err != nil {
		return nil, fmt.Errorf("reading the program: %w", err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
		}
	}()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the program: %w", err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%w: %s is a %s, not a program", wire.ErrBinary, s.Binary, kind(info.Mode()))
	}
	digest := sha256.New()
	size, err := io.Copy(digest, f)
	if err != nil {
		return nil, fmt.Errorf("reading the program: %w", err)
	}
	if s.Name == "" {
		s.Name = filepath.Base(s.Binary)
	}
	if s.Uploaded == nil {
		s.Uploaded = func(int64, int64) {}
	}
	return &upload{
		begin: wire.SubmitBegin{
			Submission: s.ID, Name: s.Name, Args: s.Args,
			Binary: hex.EncodeToString(digest.Sum(nil)), Size: size,
		},
		file: f, uploaded: s.Uploaded, furthest: -1,
	}, nil
}

// kind names what a file is.
func kind(m os.FileMode) string {
	if m.IsDir() {
		return "directory"
	}
	return "special file"
}

// send is one attempt, with one leader.
func (u *upload) send(ctx context.Context, control wire.ControlClient, advanced func()) error {
	call, cancel := withIdle(ctx, attempt)
	defer cancel()
	stream, err := control.Submit(call.ctx)
	if err != nil {
		return call.verdict(err)
	}
	x := exchange{stream}
	if err := x.send(&wire.SubmitPart{Begin: &u.begin}); err != nil {
		return call.verdict(err)
	}
	answer, err := x.receive()
	if err != nil {
		return call.verdict(err)
	}
	if answer.Need {
		if err := u.sendFile(call, x, advanced); err != nil {
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

// sendFile sends the program.
func (u *upload) sendFile(call *idleCall, x exchange, advanced func()) error {
	chunk := make([]byte, wire.ChunkSize)
	for sent := int64(0); ; {
		if sent > u.furthest { // so that a leader that dies again and again isn't progress
			u.furthest = sent
			advanced()
		}
		u.uploaded(sent, u.begin.Size)
		if sent == u.begin.Size {
			return nil
		}
		n, err := u.file.ReadAt(chunk[:min(int64(len(chunk)), u.begin.Size-sent)], sent)
		if n == 0 {
			return fmt.Errorf("reading %s at byte %d: %w; has it changed meanwhile?", u.file.Name(), sent, err)
		}
		if err := x.send(&wire.SubmitPart{Chunk: chunk[:n]}); err != nil {
			return err
		}
		sent += int64(n)
		call.alive(attempt)
	}
}

// exchange is a stream whose errors say what the server said.
type exchange struct {
	stream grpc.BidiStreamingClient[wire.SubmitPart, wire.SubmitAnswer]
}

// send sends a part.
func (x exchange) send(p *wire.SubmitPart) error {
	err := x.stream.Send(p)
	if errors.Is(err, io.EOF) { // the server has ended the stream, and says why
		_, err = x.receive()
		if err == nil {
			err = fmt.Errorf("%w: an answer before everything was sent", wire.ErrMalformed)
		}
	}
	return err
}

// receive waits for an answer.
func (x exchange) receive() (*wire.SubmitAnswer, error) {
	answer, err := x.stream.Recv()
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: the driver ended the submission without an answer", wire.ErrNotReady)
	}
	return answer, err
}
