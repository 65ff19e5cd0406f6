package wire

import "time"

// A version of a model is published by a file's way through four doors:
// engine-submit sends it to the leading engine-driver (Control.Publish), which
// keeps it on disk and tells the job's driver process (DriverEvent.Publish). That
// process puts it into the job's model store, has the executors load it
// (ToExecutor.Hold) and answers when batches are planned with it
// (JobLog.Published). Nothing of this is in the Raft log: until the answer the
// version isn't published, afterwards the batches' allocations name it.

// PublishPart is one message of publishing a version; exactly one field is set.
// A rollback is a Begin and a Commit.
type PublishPart struct {
	Begin  *PublishBegin `msgpack:"b"`
	Chunk  []byte        `msgpack:"c"` // at most ChunkSize, in order
	Commit bool          `msgpack:"x"` // everything was sent: swap it in
}

// PublishBegin opens the publishing of a version.
type PublishBegin struct {
	Job    JobRef `msgpack:"job"`
	Model  string `msgpack:"model"`  // name, as the program declares it
	Digest string `msgpack:"digest"` // SHA-256 of the file, hexadecimal
	Size   int64  `msgpack:"size"`   // bytes
	// Rollback goes back to the version Digest, which may be cut to its first
	// digits, or to the one before the current if that is "". No file follows.
	Rollback bool `msgpack:"back"`
}

// PublishAnswer says that batches are planned with the version from now on, or,
// every PublishAlive, that it isn't known yet.
type PublishAnswer struct {
	Digest string `msgpack:"digest"` // "" while it isn't known
}

// PublishAlive is the time between two answers to who publishes.
const PublishAlive = time.Second

// PublishModel asks a job's driver process to bring in a version.
type PublishModel struct {
	ID       uint64 `msgpack:"id"` // of the request; Published answers it
	Model    string `msgpack:"model"`
	Digest   string `msgpack:"digest"`
	Path     string `msgpack:"path"` // of the file on this machine, verified; "" for a rollback
	Rollback bool   `msgpack:"back"`
}

// PublishedModel answers PublishModel.
type PublishedModel struct {
	Epoch   uint64 `msgpack:"epoch"`
	ID      uint64 `msgpack:"id"`
	Digest  string `msgpack:"digest"` // what batches are planned with
	Failure string `msgpack:"why"`    // why the version was refused, "" if it wasn't
}
