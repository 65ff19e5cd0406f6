package control

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/binaries"
	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/wire"
)

// Publish implements wire.ControlServer.
func (c *controlService) Publish(stream grpc.BidiStreamingServer[wire.PublishPart, wire.PublishAnswer]) error {
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
	if err := checkPublish(begin); err != nil {
		return err
	}
	st, err := r.status(begin.Job)
	if err != nil {
		return err
	}
	if st.State.Final() {
		return fmt.Errorf("%w: job %d is %s", wire.ErrJobEnded, st.Spec.Incarnation, st.State)
	}
	next := parts.pieces(r.ctx, func(p *wire.PublishPart) ([]byte, bool) { return p.Chunk, p.Commit })
	request := &wire.PublishModel{Model: begin.Model, Digest: begin.Digest, Rollback: begin.Rollback}
	if begin.Rollback {
		err = awaitCommit(next)
	} else {
		defer c.n.files.versions.hold(begin.Digest)()
		request.Path = c.n.files.versions.Path(begin.Digest)
		err = c.takeVersion(begin, next)
	}
	if err != nil {
		return err
	}
	digest, err := c.publish(r, stream, st.Spec.Incarnation, request)
	if err != nil {
		return err
	}
	c.n.log.Info("a user has published a version of a model",
		"job", st.Spec.Incarnation, "model", begin.Model, "version", digest, "rollback", begin.Rollback)
	return stream.Send(&wire.PublishAnswer{Digest: digest})
}

// checkPublish refuses what names no version.
func checkPublish(b *wire.PublishBegin) error {
	switch {
	case b == nil:
		return fmt.Errorf("%w: publishing begins with what it is", wire.ErrInvalid)
	case b.Model == "" || len(b.Model) > state.MaxName || !utf8.ValidString(b.Model):
		return fmt.Errorf("%w: a model's name has from 1 to %d bytes of text, not %q",
			wire.ErrInvalid, state.MaxName, b.Model)
	case b.Rollback && len(b.Digest) > state.MaxName:
		return fmt.Errorf("%w: %.20q… is no version", wire.ErrInvalid, b.Digest)
	case b.Rollback:
		return nil
	case !binaries.ValidDigest(b.Digest):
		return fmt.Errorf("%w: %q is no SHA-256 in hexadecimal", wire.ErrInvalid, b.Digest)
	case b.Size <= 0 || b.Size > binaries.MaxSize:
		return fmt.Errorf("%w: a version's file of %d bytes; it may have from 1 to %d",
			wire.ErrTooLarge, b.Size, int64(binaries.MaxSize))
	}
	return nil
}

// takeVersion takes a version's file onto the disk, where the job's driver
// process reads it.
func (c *controlService) takeVersion(b *wire.PublishBegin, next func() ([]byte, bool, error)) error {
	release, err := c.n.files.room.Claim(b.Size)
	if err != nil {
		return fmt.Errorf("taking the version: %w", err)
	}
	defer release()
	return c.uploads.take(c.n.files.versions.Store, b.Digest, b.Size, next)
}

// publish hands a request to a job's driver process, waits for what comes of it
// and gives the client signs of life meanwhile.
func (c *controlService) publish(r *leadership, stream grpc.BidiStreamingServer[wire.PublishPart, wire.PublishAnswer], incarnation uint64, request *wire.PublishModel) (digest string, err error) {
	process, err := r.processOf(incarnation)
	if err != nil {
		return "", err
	}
	answer, forget, err := process.publications.request(request)
	if err != nil {
		return "", err
	}
	defer forget()
	alive := time.NewTicker(wire.PublishAlive)
	defer alive.Stop()
	for {
		select {
		case a := <-answer:
			if a.Failure != "" {
				return "", fmt.Errorf("%w: %s", wire.ErrVersion, a.Failure)
			}
			return a.Digest, nil
		case <-alive.C:
			if err := stream.Send(&wire.PublishAnswer{}); err != nil {
				return "", err
			}
		case <-process.ctx.Done():
			return "", fmt.Errorf("%w: the driver process of job %d has ended meanwhile",
				wire.ErrUnknownOutcome, incarnation)
		case <-stream.Context().Done():
			return "", context.Cause(stream.Context())
		}
	}
}
