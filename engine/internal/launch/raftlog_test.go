package launch

import (
	"context"
	"reflect"
	"testing"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/batchlog"
	"github.com/hibana-engine/hibana/engine/wire"
)

// asked is a daemon that notes what it is asked.
type asked struct {
	grpc.ClientConnInterface
	requests []any
}

func (a *asked) Invoke(_ context.Context, _ string, request, _ any, _ ...grpc.CallOption) error {
	a.requests = append(a.requests, request)
	return nil
}

// A batch and the completions that go along are one request, of which the daemon makes one entry.
func TestOneRequestABatch(t *testing.T) {
	daemon := &asked{}
	l := &raftLog{daemon: wire.JobLogClient{CC: daemon}, epoch: 7}
	done := batchlog.Completion{Seq: 4, Output: batchlog.AllOutputs}
	must(t, l.Allocate(t.Context(), batchlog.Batch{Seq: 5, Data: []byte("five"), Keep: 3}, done))
	want := []any{&wire.AllocateRequest{Epoch: 7, Seq: 5, Allocation: []byte("five"), Keep: 3, Completions: []wire.Completion{done}}}
	if !reflect.DeepEqual(daemon.requests, want) {
		t.Errorf("asked for %+v", daemon.requests)
	}
}
