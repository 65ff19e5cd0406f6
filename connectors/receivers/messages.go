package receivers

import (
	"fmt"
	"sync"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/hibana-engine/hibana/connectors/receivers/segments"
)

// message is what a receiver on an executor tells the planner: that it begins a log, then of each
// file of it; without a log, why nothing is received.
type message struct {
	Log  string   `msgpack:"l,omitempty"`
	File [3]int64 `msgpack:"f,omitempty"` // first record, records, bytes
	Held string   `msgpack:"h,omitempty"`
}

// messageOf tells of a file.
func messageOf(log string, f segments.File) message {
	return message{Log: log, File: [3]int64{f.First, f.Records, f.Bytes}}
}

// file returns the file that the message tells of.
func (m message) file() segments.File {
	return segments.File{First: m.File[0], Records: m.File[1], Bytes: m.File[2]}
}

// decodeMessage reads what a teller has told.
func decodeMessage(b []byte) (m message, err error) {
	if err := msgpack.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("decoding what a receiver tells: %w", err)
	}
	return m, nil
}

// teller tells the planner. It is safe for concurrent use.
type teller struct{ send func([]byte) }

func (t teller) tell(m message) {
	b, err := msgpack.Marshal(&m)
	if err == nil { // of numbers and text it can't fail
		t.send(b)
	}
}

// notes tell why nothing is received, when that changes. They are safe for concurrent use.
type notes struct {
	teller
	mu   sync.Mutex
	last string // what was told
}

// begin tells that the receiver begins a log, and that nothing holds it up.
func (n *notes) begin(log string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.last = ""
	n.tell(message{Log: log})
}

// note takes why nothing is received, "" if something is.
func (n *notes) note(why string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if why != n.last {
		n.last = why
		n.tell(message{Held: why})
	}
}

// withdraw takes back why nothing is received, unless something else was told since.
func (n *notes) withdraw(why string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.last == why {
		n.last = ""
		n.tell(message{})
	}
}

// news are what the planner was told of logs. They are safe for concurrent use.
type news struct {
	mu  sync.Mutex
	all []message
	log string // that is written, "" if none is known to be
}

// begin notes the log that is written from now on.
func (n *news) begin(log string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.log = log
}

// written returns the log that is written, "" if none is known to be.
func (n *news) written() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log
}

// add notes a file.
func (n *news) add(m message) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, m)
}

// take returns the files since the last call.
func (n *news) take() []message {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := n.all
	n.all = nil
	return all
}
