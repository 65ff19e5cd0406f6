package task

// Memory is what a task may hold of its process's memory, for operators that
// collect what they read: sort, group, combine. They ask before they hold more,
// and write a run and begin anew when they are refused. All of it goes back when the
// task ends. One goroutine uses it, the task's.
type Memory interface {
	// Grow reserves n more bytes. It reports false if the task is to write what it
	// holds to a run, and Shrink, before it goes on. What a task may hold depends on
	// how many others there are: one that was granted much may be refused a little
	// later. A task that holds next to nothing is granted some, so that each run is
	// worth a file. Grow may write others' blocks to disk meanwhile.
	Grow(n int64) bool
	// Shrink gives n of the bytes back.
	Shrink(n int64)
	// NewRun makes a temporary file.
	NewRun() (Run, error)
}

// Run is a temporary file of a task: frames of bytes that are read back in the order
// in which they were appended. It is removed when the task ends, or before by Remove.
// As long as it is appended to it has a buffer and an open file.
type Run interface {
	// Append writes a frame, compressed if that pays. The caller may change it
	// afterwards.
	Append(frame []byte) error
	// Bytes returns how much was appended.
	Bytes() int64
	// Finish ends appending.
	Finish() error
	// Open is Finish, and returns a reader from the beginning; several may be
	// open at once.
	Open() (RunReader, error)
	// Remove drops the file. A reader that is open can read on.
	Remove()
}

// RunReader reads a run.
type RunReader interface {
	// Next returns the next frame, which isn't changed or reused afterwards, so
	// records may alias it. At the end the error is io.EOF; damaged bytes are an
	// error too, never another frame.
	Next() ([]byte, error)
	// Close frees the file handle.
	Close() error
}
