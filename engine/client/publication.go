package client

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/wire"
)

// Publication is a version of a model for a job that runs.
type Publication struct {
	Job   wire.JobRef
	Model string // name, as the program declares it
	File  string // path of the version's file; "" goes back to an earlier version
	// Version is the one to go back to, its digest or the beginning of that; "" is
	// the one before the current.
	Version string
	// Uploaded is told how many bytes of the file were sent. It may be nil.
	Uploaded func(sent, total int64)
}

// Publish brings a version of a model into a job, or goes back to an earlier one,
// and returns its digest when batches are planned with it. An error that says
// [wire.ErrVersion] is a refusal, the job's or of a file that can't be a version, and
// the version before stays.
func (c *Client) Publish(ctx context.Context, p Publication) (digest string, err error) {
	fail := func(err error) (string, error) {
		return "", fmt.Errorf("model %s of job %s: %w", p.Model, name(p.Job), err)
	}
	s := swap{begin: wire.PublishBegin{Job: p.Job, Model: p.Model, Digest: p.Version, Rollback: p.File == ""}}
	if p.File != "" {
		if s.outgoing, err = openFile("version's file", p.File, wire.ErrVersion, p.Uploaded); err != nil {
			return fail(err)
		}
		defer s.file.Close()
		s.begin.Digest, s.begin.Size = s.digest, s.size
	}
	err = c.persist(ctx, func(ctx context.Context, leader grpc.ClientConnInterface, advanced func()) error {
		return s.send(ctx, wire.ControlClient{CC: leader}, advanced)
	})
	if err == nil {
		err = s.unknown
	}
	if err != nil {
		return fail(err)
	}
	return s.answer, nil
}

// swap is a publication on its way.
type swap struct {
	outgoing
	begin   wire.PublishBegin
	answer  string
	unknown error // why it isn't known whether the version came in, and can't be asked for again
}

// send is one attempt, with one leader. To publish a file twice does no harm; to
// go back twice would go too far.
func (s *swap) send(ctx context.Context, control wire.ControlClient, advanced func()) error {
	call, cancel := withIdle(ctx, attempt)
	defer cancel()
	stream, err := control.Publish(call.ctx)
	if err != nil {
		return call.verdict(err)
	}
	x := exchange[wire.PublishPart, wire.PublishAnswer]{stream}
	if err := x.send(&wire.PublishPart{Begin: &s.begin}); err != nil {
		return call.verdict(err)
	}
	if !s.begin.Rollback {
		send := func(chunk []byte) error { return x.send(&wire.PublishPart{Chunk: chunk}) }
		if err := s.sendFile(call, send, advanced); err != nil {
			return call.verdict(err)
		}
	}
	err = call.verdict(s.commit(call, x, advanced))
	if s.begin.Rollback && s.begin.Digest == "" && wire.Transient(err) && !undone(err) {
		s.unknown = fmt.Errorf("whether it went back isn't known; the job's log says which versions were published: %w", err)
		return nil
	}
	return err
}

// commit asks for the version and waits for the answer.
func (s *swap) commit(call *idleCall, x exchange[wire.PublishPart, wire.PublishAnswer], advanced func()) error {
	if err := x.send(&wire.PublishPart{Commit: true}); err != nil {
		return err
	}
	for {
		answer, err := x.receive()
		if err != nil {
			return err
		}
		if s.answer = answer.Digest; s.answer != "" {
			return nil
		}
		call.alive(attempt)
		advanced()
	}
}

// undone reports whether an error says that nothing has happened: a driver said
// that it isn't ready, or that it doesn't lead.
func undone(err error) bool {
	if errors.Is(err, wire.ErrNotLeader) {
		return true
	}
	_, said := errors.AsType[*wire.RemoteError](err)
	return said && errors.Is(err, wire.ErrNotReady)
}
