package driver

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd/task"
)

// A batch that isn't planned at a tick has the time of the tick that has passed, as
// long as there is one since the batch before, so that what falls on ticks finds it.
func TestTimesBetweenTicks(t *testing.T) {
	before := time.Unix(1000, 300)
	next := time.Unix(1001, 0)
	for name, c := range map[string]struct{ now, want time.Time }{
		"between":                {time.Unix(1000, 500), time.Unix(1000, 500)},
		"the clock stands still": {before, before.Add(1)},
		"the clock was set back": {time.Unix(900, 0), before.Add(1)},
		"at the tick":            {next, next},
		"after it":               {next.Add(300), next},
		"several ticks later":    {time.Unix(1004, 7), time.Unix(1004, 0)},
	} {
		g := generator{
			Driver:   &Driver{Config: Config{Program: &plan.Program{Interval: time.Second}}},
			previous: &plan.Allocation{TimeNanos: before.UnixNano()},
		}
		if got := g.timeOf(c.now, next); !got.Equal(c.want) {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// What a program did that reads until the end is one line. Its records are those that the
// batches held, however often tasks read them, as for two outputs.
func TestSummary(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	var s summary
	for range 3 {
		s.add(plan.BatchInfo{Records: 5, Metrics: task.Metrics{RecordsRead: 10, RecordsWritten: 4, BadRecords: 1}})
	}
	s.log(log, true, 1234567*time.Microsecond)
	s.log(log, false, time.Second)
	lines := strings.Split(out.String(), "\n")
	for i, want := range []string{
		`level=INFO msg="what was there at the start is read" batches=3 records=15 records_read=30 records_written=12 bad_records=3 took=1.235s`,
		`level=WARN msg="stopped before all that was there at the start was read" batches=3 records=15 records_read=30 records_written=12 bad_records=3 took=1s`,
	} {
		if !strings.HasSuffix(lines[i], want) {
			t.Errorf("it says %q, want %q", lines[i], want)
		}
	}
}
