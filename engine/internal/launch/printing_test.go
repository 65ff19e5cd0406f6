package launch

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/wire"
)

// slowReader is a daemon for which who asked takes nothing.
type slowReader struct {
	grpc.ClientConnInterface
	calls, waiting atomic.Int32
}

func (r *slowReader) Invoke(ctx context.Context, _ string, _, _ any, _ ...grpc.CallOption) error {
	r.calls.Add(1)
	r.waiting.Add(1)
	defer r.waiting.Add(-1)
	<-ctx.Done()
	return ctx.Err()
}

// Printing is over before what it reads is closed, and who asked and is slow doesn't hold
// up the job's end for long.
func TestPrintingEndsWithTheDriver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var effects []string
		log, reader := newTestLog(), new(slowReader)
		j := testJob(log, false, 2, &effects)
		j.lookup, j.prints = log, newPrinting(t.Context(), wire.JobLogClient{CC: reader}, slog.New(slog.DiscardHandler))
		j.prints.ask(1, &wire.PrintEvent{ID: 1})
		begin := time.Now()
		if err := j.Run(t.Context(), t.Context(), &Local{Slots: 1}); err != nil {
			t.Fatal(err)
		}
		if calls, waiting := reader.calls.Load(), reader.waiting.Load(); calls == 0 || waiting > 0 {
			t.Errorf("of %d calls %d wait when the job has ended", calls, waiting)
		}
		if took, most := time.Since(begin), 2*j.Interval+endPatience; took > most {
			t.Errorf("the job of two batches took %s, expected %s at most", took, most)
		}
		before := reader.calls.Load()
		j.prints.ask(1, &wire.PrintEvent{ID: 2})
		synctest.Wait()
		if reader.calls.Load() != before {
			t.Error("it prints when the job has ended")
		}
		j.prints.close() // once more
	})
}
