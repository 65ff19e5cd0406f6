package binaries

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/disk"
	"github.com/hibana-engine/hibana/engine/wire"
)

// Source is who may have a program.
type Source struct {
	Name   string // for errors: an address
	Client wire.BinariesClient
}

// stallTimeout is how long a source may send nothing.
const stallTimeout = 10 * time.Second

// FetchFrom makes sure that the store has a program: it asks one source after the
// other, each for what is still missing, until the program is whole. What came
// stays if that fails, for the next try. The error lists what the sources said,
// and says wire.ErrNoBinary if none of them has the program.
func (s *Store) FetchFrom(ctx context.Context, digest string, size int64, sources ...Source) error {
	if err := errors.Join(checkDigest(digest), checkSize(size)); err != nil {
		return err
	}
	release, err := s.acquire(ctx, digest)
	if err != nil {
		return err
	}
	defer release()
	if s.has(digest) {
		return nil
	}
	w, err := s.resume(digest, size)
	if err != nil {
		return err
	}
	defer func() { _ = w.f.Close() }() // it may be closed; what counts was checked
	if w.check() == nil {              // only the rename was missing
		return w.publish()
	}
	if err := disk.Room(s.dir, size-w.have, 0); err != nil {
		if errors.Is(err, disk.ErrRoom) {
			err = fmt.Errorf("%w: %w", wire.ErrTooLarge, err)
		}
		return fmt.Errorf("fetching the binary %.12s…: %w", digest, err)
	}
	var errs []error
	for _, src := range sources {
		err := w.receive(ctx, src.Client)
		if err == nil {
			if err = w.check(); err == nil {
				return w.publish()
			}
			// Who is to blame isn't known, all of them may have sent a piece.
			err = errors.Join(err, w.restart())
		}
		errs = append(errs, fmt.Errorf("from %s: %w", src.Name, err))
		if ctx.Err() != nil || errors.Is(err, errDisk) {
			break
		}
	}
	if len(errs) == 0 {
		return fmt.Errorf("%w: nobody to ask for it", wire.ErrNoBinary)
	}
	return fmt.Errorf("fetching the binary %.12s…: %w", digest, errors.Join(errs...))
}

// errDisk: no other source would help.
var errDisk = errors.New("it can't be stored here")

// receive appends what a source has, until the program has its size or the
// source has no more.
func (w *Writer) receive(ctx context.Context, from wire.BinariesClient) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := time.AfterFunc(stallTimeout, func() {
		cancel(fmt.Errorf("it sent nothing for %s", stallTimeout))
	})
	defer stalled.Stop()
	stream, err := from.Fetch(ctx, &wire.FetchRequest{Binary: w.digest, Offset: w.have})
	for err == nil {
		var chunk *wire.Chunk
		if chunk, err = stream.Recv(); err != nil {
			break
		}
		stalled.Reset(stallTimeout)
		if _, err = w.Write(chunk.Data); err != nil && !errors.Is(err, wire.ErrBinary) {
			return errors.Join(fmt.Errorf("%w: %w", errDisk, err), w.restart()) // others need the room
		}
	}
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case errors.Is(err, wire.ErrBinary) && w.have < w.size:
		return errors.Join(err, w.restart()) // it is another program
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return err
}

// Fetch implements the method of wire.BinariesServer.
func (s *Store) Fetch(req *wire.FetchRequest, stream grpc.ServerStreamingServer[wire.Chunk]) error {
	if err := checkDigest(req.Binary); err != nil {
		return err
	}
	if !s.Has(req.Binary) {
		return fmt.Errorf("%w: this node hasn't the binary %.12s…", wire.ErrNoBinary, req.Binary)
	}
	f, err := os.Open(s.Path(req.Binary))
	if err != nil {
		return fmt.Errorf("reading the binary: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("reading the binary: %w", err)
	}
	if req.Offset < 0 || req.Offset > info.Size() {
		return fmt.Errorf("%w: the binary has %d bytes, asked for is what follows byte %d", wire.ErrInvalid, info.Size(), req.Offset)
	}
	if _, err := f.Seek(req.Offset, io.SeekStart); err != nil {
		return fmt.Errorf("reading the binary: %w", err)
	}
	buf := make([]byte, wire.ChunkSize)
	for {
		n, err := f.Read(buf)
		if n > 0 {
			if err := stream.Send(&wire.Chunk{Data: buf[:n]}); err != nil { // it encodes at once: buf is free then
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("reading the binary: %w", err)
		}
	}
}
