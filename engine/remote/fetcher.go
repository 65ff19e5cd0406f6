package remote

import (
	"time"

	"github.com/hibana-engine/hibana/engine/security"
)

// Fetcher reads shuffle blocks for the tasks of one executor process.
type Fetcher struct {
	incarnation uint64
	self        string // name of this executor
	conns       conns
	silence     time.Duration // of an executor that is to send, after which it is lost
}

// NewFetcher returns the fetcher of the executor with the given name. s holds
// the job's secret. Close closes its connections.
func NewFetcher(incarnation uint64, self string, s security.Security) *Fetcher {
	return &Fetcher{incarnation: incarnation, self: self, silence: maxSilence, conns: conns{security: s, open: make(map[string]*conn)}}
}

// Close closes the connections to other executors. No task reads any more.
func (f *Fetcher) Close() error { return f.conns.close() }
