package wire

import (
	"errors"
	"fmt"
)

// Errors that keep their identity over the wire, for errors.Is.
var (
	// ErrNotLeader: the driver asked isn't the leader; see NotLeaderError.
	ErrNotLeader = errors.New("this engine-driver isn't the leader")
	// ErrNoLeader: there is no leader, because too few drivers are up.
	ErrNoLeader = errors.New("no engine-driver leads")
	// ErrFormat: bytes are of a version that this one doesn't know.
	ErrFormat = errors.New("unknown format version")
	// ErrMalformed: bytes are no message.
	ErrMalformed = errors.New("malformed message")
	// ErrTooLarge: something is over its limit.
	ErrTooLarge = errors.New("too large")
	// ErrUnauthenticated: the two processes don't know the same token.
	ErrUnauthenticated = errors.New("not allowed")
	// ErrOtherCluster: the caller belongs to another cluster.
	ErrOtherCluster = errors.New("it belongs to another cluster")
	// ErrInvalid: what is asked for makes no sense.
	ErrInvalid = errors.New("invalid request")
	// ErrNoJob: there is no such job.
	ErrNoJob = errors.New("no such job")
	// ErrJobEnded: the job has finished, failed or been killed.
	ErrJobEnded = errors.New("the job has ended")
	// ErrSubmissionTaken: the submission id was used for something else.
	ErrSubmissionTaken = errors.New("the submission id is taken")
	// ErrStaleEpoch: another driver has taken the job over. Whoever gets it stops.
	ErrStaleEpoch = errors.New("a newer driver has taken over")
	// ErrSequence: a batch, value or completion doesn't follow what is recorded.
	ErrSequence = errors.New("out of sequence")
	// ErrUnknownOutcome: whether it was recorded isn't known. Read back before
	// trying again.
	ErrUnknownOutcome = errors.New("the outcome is unknown")
	// ErrBinary: the file can't be run here: no executable, of another platform,
	// or not the bytes that were announced.
	ErrBinary = errors.New("the binary can't be used")
	// ErrNoBinary: no node has the binary.
	ErrNoBinary = errors.New("the binary is missing")
	// ErrVersion: a version of a model was refused.
	ErrVersion = errors.New("the version is refused")
	// ErrExecutorTaken: another daemon with the same id is connected.
	ErrExecutorTaken = errors.New("the executor id is taken")
	// ErrNotReady: what is asked for isn't there yet; try again.
	ErrNotReady = errors.New("not ready")
	// ErrInsecure: the doors would stand open.
	ErrInsecure = errors.New("refusing to start without protection")
)

// Misuse says ErrInvalid without its words: no request was made, a command line
// or a configuration makes no sense.
type Misuse string

// Error returns what makes no sense.
func (m Misuse) Error() string { return string(m) }

// Unwrap returns ErrInvalid.
func (Misuse) Unwrap() error { return ErrInvalid }

// NotLeaderError is the answer of a driver that doesn't lead.
type NotLeaderError struct {
	Leader string // its address, "" while there is none
}

// Error says where the leader is.
func (e *NotLeaderError) Error() string {
	if e.Leader == "" {
		return fmt.Sprintf("%v, and it knows of none", ErrNotLeader)
	}
	return fmt.Sprintf("%v; %s is", ErrNotLeader, e.Leader)
}

// Unwrap returns ErrNotLeader.
func (e *NotLeaderError) Unwrap() error { return ErrNotLeader }

// RemoteError is an error that another process returned.
type RemoteError struct {
	Message string
	Kind    error // one of the errors above
}

// Error returns the other process's message.
func (e *RemoteError) Error() string { return e.Message }

// Unwrap returns Kind.
func (e *RemoteError) Unwrap() error { return e.Kind }
