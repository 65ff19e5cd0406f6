package plan

import (
	"fmt"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// AllocationFormat is the version of Allocation's encoding. A field that may be
// missing, and that a program which doesn't know it may ignore, needs no new one.
const AllocationFormat = 1

// Allocation says what one batch is made of. It is the batch log's entry,
// what a new driver finds after a failure, and what executors are sent: from it
// and the program alone every process generates the same RDDs. It is logged
// before anything is scheduled and never changes.
type Allocation struct {
	Format      int               `msgpack:"v"`
	Incarnation uint64            `msgpack:"inc"`   // which submission of the job
	Epoch       uint64            `msgpack:"epoch"` // which driver planned it
	Seq         uint64            `msgpack:"seq"`   // counts from 1 without gaps
	TimeNanos   int64             `msgpack:"time"`  // the batch's time, nanoseconds since 1970
	Inputs      []InputAllocation `msgpack:"in"`    // one for each input of the graph, in its order
	Models      []ModelPin        `msgpack:"models,omitempty"`
	States      []SavedState      `msgpack:"st,omitempty"`   // in the graph's order
	Values      []NamedValue      `msgpack:"vals,omitempty"` // of PerBatch, in the graph's order
	Binary      string            `msgpack:"bin,omitempty"`  // digest of the program that planned it
	Keep        uint64            `msgpack:"keep,omitempty"` // the first batch that this one and later ones reach back to; 0: none before it
	Begins      uint64            `msgpack:"beg,omitempty"`  // the first batch that any can reach back to; 0: the job's first
	Cost        *CostEstimate     `msgpack:"cost,omitempty"` // what was known when it was planned, for the next driver
}

// InputAllocation is one input's share of a batch.
type InputAllocation struct {
	DStream int32  `msgpack:"ds"`
	Ranges  []byte `msgpack:"r"` // in the input's own encoding
	Records int64  `msgpack:"n"` // how many records the ranges hold at most
}

// ModelPin says which version of a named model a batch uses.
type ModelPin struct {
	Name   string `msgpack:"n"`
	Digest string `msgpack:"d"` // SHA-256 of the model file, hexadecimal
}

// NamedValue is a recorded value: of PerBatch in an allocation, of Value in the log.
type NamedValue struct {
	Name string `msgpack:"n"`
	Data []byte `msgpack:"d"` // msgpack
}

// Time returns the batch's time.
func (a *Allocation) Time() time.Time { return time.Unix(0, a.TimeNanos) }

// Records returns how many records the batch's inputs hold at most.
func (a *Allocation) Records() int64 {
	var n int64
	for _, in := range a.Inputs {
		n += in.Records
	}
	return n
}

// Input returns the allocation of an input, or nil.
func (a *Allocation) Input(dstream int32) *InputAllocation {
	for i := range a.Inputs {
		if a.Inputs[i].DStream == dstream {
			return &a.Inputs[i]
		}
	}
	return nil
}

// Model returns the digest of the version of a model that the batch uses, "" if it
// uses none of that name.
func (a *Allocation) Model(name string) string {
	for _, m := range a.Models {
		if m.Name == name {
			return m.Digest
		}
	}
	return ""
}

// Encode returns the allocation as it is logged and sent.
func (a *Allocation) Encode() ([]byte, error) {
	b, err := msgpack.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("encoding the allocation of batch %d: %w", a.Seq, err)
	}
	return b, nil
}

// DecodeAllocation reads what Encode wrote. An allocation of an unknown format
// is an error that says [ErrFormat]: it is never guessed at.
func DecodeAllocation(b []byte) (*Allocation, error) {
	var a Allocation
	if err := msgpack.Unmarshal(b, &a); err != nil {
		return nil, fmt.Errorf("%w: batch allocation: %w", ErrCorruptLog, err)
	}
	if a.Format != AllocationFormat {
		return nil, fmt.Errorf("%w: batch allocation of format %d, this program knows %d", ErrFormat, a.Format, AllocationFormat)
	}
	return &a, nil
}
