package remote

import (
	"errors"
	"strings"

	"github.com/hibana-engine/hibana/engine/wire"
)

// Errors of this package, for errors.Is.
var (
	// ErrDeposed: another driver has taken the job over; this one must stop.
	ErrDeposed = errors.New("this driver was deposed: a newer one has taken the job over")
	// ErrNoExecutor: no executor can build the program.
	ErrNoExecutor = errors.New("no executor can run the program")
	// ErrCorrupt: bytes of a block changed on their way, or are not what was
	// announced.
	ErrCorrupt = errors.New("the block is damaged")
	// ErrClosed: the backend or the server was closed.
	ErrClosed = errors.New("closed")
)

// refusal is the error of a stream to an executor that can't build the program.
type refusal string

func (r refusal) Error() string { return string(r) }

// fatalError fails the job.
type fatalError struct{ err error }

func (e *fatalError) Error() string { return e.err.Error() }

// Name returns the name under which the scheduler knows an executor's process.
func Name(p wire.ExecutorProcess) string { return NameOf(p.Executor, p.Address) }

// NameOf is Name of an executor's id and its process's address.
func NameOf(executor, address string) string { return executor + "@" + address }

// addressOf returns the address in a name, "" if it holds none.
func addressOf(name string) string {
	i := strings.LastIndexByte(name, '@')
	if i < 0 {
		return ""
	}
	return name[i+1:]
}
