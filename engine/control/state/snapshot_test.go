package state

import (
	"bytes"
	"testing"

	"github.com/hibana-engine/hibana/engine/batchlog"
	"github.com/hibana-engine/hibana/engine/wire"
)

// A job's batch log is written among the job's own fields, as it was before it was a
// type of its own: snapshots of earlier versions stay readable.
func TestBatchLogIsWrittenInline(t *testing.T) {
	log := batchlog.State{
		Header: []byte("h"), Values: []wire.Value{{Name: "n", Data: []byte("v")}},
		Last: wire.Pending{Seq: 2, Epoch: 11, Data: []byte("b")}, Pending: []wire.Pending{{Seq: 1, Epoch: 11, Done: []int32{0, 3}}},
	}
	got, err := wire.Encode(&Job{
		Spec: wire.JobSpec{Incarnation: 10}, State: wire.JobRunning, Epoch: 11, Node: "a", Crashes: 1, BatchLog: log, Bytes: 100,
	})
	if err != nil {
		t.Fatal(err)
	}
	want, err := wire.Encode(&struct {
		Spec    wire.JobSpec   `msgpack:"spec"`
		State   wire.JobState  `msgpack:"state"`
		Epoch   uint64         `msgpack:"epoch"`
		Node    string         `msgpack:"node"`
		Crashes int            `msgpack:"crash"`
		Header  []byte         `msgpack:"h"`
		Values  []wire.Value   `msgpack:"vals"`
		Last    wire.Pending   `msgpack:"last"`
		Pending []wire.Pending `msgpack:"pend"`
		Bytes   int            `msgpack:"bytes"`
	}{wire.JobSpec{Incarnation: 10}, wire.JobRunning, 11, "a", 1, log.Header, log.Values, log.Last, log.Pending, 100})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("a job is written as\n%q, want\n%q", got, want)
	}
}
