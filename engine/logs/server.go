package logs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/wire"
)

// Server keeps the logs of jobs and gives them out. It implements
// wire.LogsServer.
type Server struct {
	path func(incarnation uint64) string

	mu     sync.Mutex
	opened map[uint64]*Log // that are written to
}

// NewServer returns a server of logs that lie, or will lie, where path says.
func NewServer(path func(incarnation uint64) string) *Server {
	return &Server{path: path, opened: make(map[uint64]*Log)}
}

// Open opens a job's log to append to. Who follows the job does so until the log
// is closed. A job has one open log at a time.
func (s *Server) Open(incarnation uint64) (*Log, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opened[incarnation] != nil {
		return nil, fmt.Errorf("opening the log of job %d: it is open", incarnation)
	}
	l, err := Open(s.path(incarnation))
	if err != nil {
		return nil, err
	}
	l.onClose = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.opened, incarnation)
	}
	s.opened[incarnation] = l
	return l, nil
}

// log returns a job's log, the open one if there is.
func (s *Server) log(incarnation uint64) *Log {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.opened[incarnation]; l != nil {
		return l
	}
	return &Log{path: s.path(incarnation), limits: defaultLimits(), closed: true}
}

// Logs implements wire.LogsServer.
func (s *Server) Logs(req *wire.LogsRequest, stream grpc.ServerStreamingServer[wire.Chunk]) error {
	if req.Tail < 0 {
		return fmt.Errorf("%w: a log's last %d bytes", wire.ErrInvalid, req.Tail)
	}
	r, err := newReader(s.log(req.Incarnation), req.Tail)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: this node has no output of job %d", wire.ErrNoJob, req.Incarnation)
	}
	if err != nil {
		return err
	}
	defer r.close()
	buf := make([]byte, wire.ChunkSize)
	for {
		n, wait, err := r.read(buf)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case wait == nil:
			if err := stream.Send(&wire.Chunk{Data: buf[:n]}); err != nil { // it encodes at once: buf is free then
				return err
			}
			continue
		case !req.Follow:
			return nil
		}
		select {
		case <-wait:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}
