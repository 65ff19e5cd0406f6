package wire

// Print says what a job's driver process is to print, since it knows how it is kept: a
// state, or, without the name of one, how far the job has read its inputs.
type Print struct {
	State string `msgpack:"state"`
	Key   string `msgpack:"key"` // this one alone, "" for all
}

// PrintRequest asks a job that runs to print something.
type PrintRequest struct {
	Job  JobRef `msgpack:"job"`
	What Print  `msgpack:"what"`
}

// PrintPart is a piece of what is printed.
type PrintPart struct {
	Note string `msgpack:"n"` // for people: of when it is
	Data []byte `msgpack:"d"` // lines of JSON, cut anywhere
}

// PrintEvent asks the job's driver process.
type PrintEvent struct {
	ID   uint64 `msgpack:"id"`
	What Print  `msgpack:"what"`
}

// Printed is a piece of the answer.
type Printed struct {
	Epoch   uint64    `msgpack:"epoch"`
	ID      uint64    `msgpack:"id"`
	Part    PrintPart `msgpack:"part"`
	End     bool      `msgpack:"end"`
	Failure string    `msgpack:"why"` // with End: why it can't be printed, "" if it was
}
