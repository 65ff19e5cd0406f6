package client

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/wire"
)

// outgoing is a file that is sent to the leader: a program, or a version of a
// model.
type outgoing struct {
	file     *os.File
	digest   string // SHA-256, hexadecimal
	size     int64  // bytes
	uploaded func(sent, total int64)
	furthest int64 // bytes sent by the attempt that came furthest
}

// openFile opens a file and takes its digest. what is what it should be, for
// errors; unfit is what they say if it can't be that; uploaded may be nil.
func openFile(what, path string, unfit error, uploaded func(sent, total int64)) (_ outgoing, err error) {
	f, err := os.Open(path)
	if err != nil {
		return outgoing{}, fmt.Errorf("reading the %s: %w", what, err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
		}
	}()
	info, err := f.Stat()
	switch {
	case err != nil:
		return outgoing{}, fmt.Errorf("reading the %s: %w", what, err)
	case !info.Mode().IsRegular():
		return outgoing{}, fmt.Errorf("%w: %s is a %s, not a %s", unfit, path, kind(info.Mode()), what)
	case info.Size() == 0:
		return outgoing{}, fmt.Errorf("%w: %s is empty", unfit, path)
	}
	digest := sha256.New()
	size, err := io.Copy(digest, f)
	if err != nil {
		return outgoing{}, fmt.Errorf("reading the %s: %w", what, err)
	}
	if uploaded == nil {
		uploaded = func(int64, int64) {}
	}
	return outgoing{file: f, digest: hex.EncodeToString(digest.Sum(nil)), size: size, uploaded: uploaded, furthest: -1}, nil
}

// kind names what a file is.
func kind(m os.FileMode) string {
	if m.IsDir() {
		return "directory"
	}
	return "special file"
}

// sendFile sends the file in pieces.
func (o *outgoing) sendFile(call *idleCall, send func(chunk []byte) error, advanced func()) error {
	chunk := make([]byte, wire.ChunkSize)
	for sent := int64(0); ; {
		if sent > o.furthest { // so that a leader that dies again and again isn't progress
			o.furthest = sent
			advanced()
		}
		o.uploaded(sent, o.size)
		if sent == o.size {
			return nil
		}
		n, err := o.file.ReadAt(chunk[:min(int64(len(chunk)), o.size-sent)], sent)
		if n == 0 {
			return fmt.Errorf("reading %s at byte %d: %w; has it changed meanwhile?", o.file.Name(), sent, err)
		}
		if err := send(chunk[:n]); err != nil {
			return err
		}
		sent += int64(n)
		call.alive(attempt)
	}
}

// exchange is a stream whose errors say what the server said.
type exchange[Part, Answer any] struct {
	stream grpc.BidiStreamingClient[Part, Answer]
}

// send sends a part.
func (x exchange[Part, Answer]) send(p *Part) error {
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
func (x exchange[Part, Answer]) receive() (*Answer, error) {
	answer, err := x.stream.Recv()
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: the driver ended the exchange without an answer", wire.ErrNotReady)
	}
	return answer, err
}
