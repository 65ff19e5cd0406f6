package control

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/hibana-engine/hibana/engine/control/raftgroup/grouptest"
	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/rpc"
	"github.com/hibana-engine/hibana/engine/rpc/rpctest"
	"github.com/hibana-engine/hibana/engine/security/securitytest"
	"github.com/hibana-engine/hibana/engine/wire"
)

// BenchmarkListJobs lists 1,000 jobs that run on two executors, as engine-submit list does.
func BenchmarkListJobs(b *testing.B) {
	const jobs = 1000
	r := leading(b)
	for _, id := range []string{"e1", "e2"} {
		grouptest.MustPropose(b, r.n.Replica, &state.RegisterExecutor{ID: id, Start: "x", Slots: 16, Platform: "p/q", Address: "h:1"})
	}
	for i := range jobs {
		spec := wire.JobSpec{Submission: fmt.Sprintf("s-%016x", i), Name: "wordcount", Args: []string{"--brokers", "kafka1:9092"}, Binary: strings.Repeat("0", 64), Platform: "p/q"}
		inc := grouptest.MustPropose(b, r.n.Replica, &state.TakeJob{Spec: spec}).Index
		for _, id := range []string{"e1", "e2"} {
			grouptest.MustPropose(b, r.n.Replica, &state.ProcessReady{Executor: id, Start: "x", Incarnation: inc, Process: "p", Address: "127.0.0.1:40000", Slots: 16})
		}
	}
	security := securitytest.Token()
	l := rpctest.Listen(b)
	g := rpc.NewServer(security)
	wire.RegisterControl(g, &controlService{n: r.n, lead: &lead{n: r.n, leadership: r}})
	var serving sync.WaitGroup
	serving.Go(func() { _ = g.Serve(l) })
	defer serving.Wait()
	defer g.Stop()
	cc, err := rpc.Dial(l.Addr().String(), security)
	if err != nil {
		b.Fatal(err)
	}
	defer cc.Close()
	for b.Loop() {
		listed := 0
		stream, err := wire.ControlClient{CC: cc}.Jobs(b.Context())
		for err == nil {
			if _, err = stream.Recv(); err == nil {
				listed++
			}
		}
		if !errors.Is(err, io.EOF) || listed != jobs {
			b.Fatalf("%d jobs, %v", listed, err)
		}
	}
}
