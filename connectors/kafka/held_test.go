package kafka

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
	"github.com/hibana-engine/hibana/connectors/kafka/ranges"
	"github.com/hibana-engine/hibana/engine"
)

// A transaction that stays open is seen in the backlog at once, and after a while
// in words; a start that is waited for is said at once.
func TestPlanSaysWhatIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(1, "in"))
		b.Produce(t, "in", nil, kgo.StringRecord("a"), kgo.StringRecord("b"))
		open := b.Client(t, kgo.TransactionalID("open"))
		if err := open.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := open.ProduceSync(t.Context(), &kgo.Record{Topic: "in"}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		b.Produce(t, "in", nil, kgo.StringRecord("c"), kgo.StringRecord("d"))

		d := &direct[string]{topics: Subscribe("in"), brokers: b.Addrs, client: &b.Opts, log: slog.New(slog.DiscardHandler)}
		planner := func(start Position) func() engine.Plan {
			d.options.start = start
			p := opened(t, d)
			var last engine.Plan
			return func() engine.Plan {
				var err error
				last, err = p.Plan(t.Context(), engine.PlanRequest{Previous: last.Ranges, Interval: time.Second})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				return last
			}
		}
		plan, stuck := planner(Earliest()), time.Now()
		if p := plan(); p.Records != 2 || p.Backlog != 3 || p.Blocked != 3 || p.Held != "" {
			t.Errorf("at first: %+v", p)
		}
		plan()
		time.Sleep(heldAfter)
		if p := plan(); p.Records != 0 || p.Backlog != 3 || p.Blocked != 3 || !p.HeldSince.Equal(stuck) || !strings.HasPrefix(p.Held, "topic in partition 0 can't be read past offset 2, of 5, since 20") {
			t.Errorf("after a while: %+v", p)
		}
		beyond := planner(AtOffsets(map[string]map[int32]int64{"in": {0: 4}}))
		if p := beyond(); p.Records != 0 || p.Backlog != 1 || p.Blocked != 1 || !p.HeldSince.IsZero() || !strings.HasPrefix(p.Held, "topic in partition 0 is to be read from offset 4, and its end is 2") {
			t.Errorf("beyond: %+v", p)
		}
		if err := open.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if p := plan(); p.Records != 4 || p.Backlog != 0 || p.Blocked != 0 || p.Held != "" {
			t.Errorf("in the end: %+v", p)
		}
		if p := beyond(); p.Records != 2 || p.Backlog != 0 || p.Held != "" {
			t.Errorf("beyond, in the end: %+v", p)
		}
	})
}

// opened opens the planner of a stream.
func opened(t *testing.T, d *direct[string]) engine.Planner {
	t.Helper()
	p, err := d.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// Consumers of the group may read on and commit until the first batch is planned.
func TestGroupThatReadsOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(1, "in"))
		d := &direct[string]{topics: Subscribe("in"), options: directOptions{start: AtGroup("g")}, brokers: b.Addrs, client: &b.Opts, log: slog.New(slog.DiscardHandler)}
		p := opened(t, d)
		b.Produce(t, "in", nil, kgo.StringRecord("a"), kgo.StringRecord("b"))
		var read kadm.Offsets
		read.AddOffset("in", 0, 1, -1)
		if err := b.Admin().CommitAllOffsets(t.Context(), "g", read); err != nil {
			t.Fatal(err)
		}
		got, err := p.Plan(t.Context(), engine.PlanRequest{Interval: time.Second})
		if rs, _ := decodeRanges(got.Ranges); err != nil || len(rs) != 1 || rs[0].From != 1 || rs[0].Until != 2 {
			t.Errorf("%v, %v", rs, err)
		}
	})
}

// A pattern that no topic has waits for one and says so. One that is made is read whole, also by a
// driver that takes over before it was.
func TestPatternWaitsForTopics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(1, "other"))
		d := &direct[string]{topics: SubscribePattern("in.*"), options: directOptions{start: Latest()}, brokers: b.Addrs, client: &b.Opts, log: slog.New(slog.DiscardHandler)}
		var last engine.Plan
		plan := func(p engine.Planner) engine.Plan {
			got, err := p.Plan(t.Context(), engine.PlanRequest{Previous: last.Ranges, Interval: time.Second})
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		first := opened(t, d)
		last = plan(first)
		if want := "no topic at " + b.Addrs[0] + " is named like /in.*/, or none that the client may see: waiting for one"; last.Held != want || last.Records != 0 {
			t.Errorf("%+v, want %s", last, want)
		}
		if n, _, err := d.Generate(last.Ranges); n != 0 || err != nil {
			t.Errorf("%d partitions of nothing, %v", n, err)
		}
		b.Create(t, "in.1", 1)
		b.Produce(t, "in.1", nil, kgo.StringRecord("a"), kgo.StringRecord("b"))
		time.Sleep(6 * time.Second) // until the planner asks for topics again
		for name, p := range map[string]engine.Planner{"the planner that waited": first, "another": opened(t, d)} {
			if got := plan(p); got.Held != "" || got.Records != 2 {
				t.Errorf("%s: %+v", name, got)
			}
		}
	})
}

// What a batch leaves is blocked if no budget would have let it in: a limit of the
// rate counts like a transaction that is open.
func TestPlanSaysWhatIsBlocked(t *testing.T) {
	for name, c := range map[string]struct {
		maxRate, budget           float64
		records, backlog, blocked int64
	}{
		"everything is read":                  {0, 0, 40, 60, 60},
		"a budget leaves records":             {0, 10, 10, 90, 60},
		"the highest rate does":               {20, 0, 20, 80, 80},
		"a budget, and a rate above it":       {20, 10, 10, 90, 80},
		"a rate that lets everything be read": {100, 10, 10, 90, 60},
		"a rate of fractions":                 {12.34, 0, 12, 88, 88},
		"less than a record":                  {0.1, 0, 0, 100, 100},
		"a budget below a rate of fractions":  {12.34, 10, 10, 90, 88},
	} {
		p := &planner{plans: new(codec), limits: limits{maxRate: c.maxRate}, first: map[topicPartition]int64{}}
		got, err := p.plan([]ranges.Partition{{Topic: "t", Until: 40, High: 100}}, engine.PlanRequest{Budget: c.budget, Elapsed: time.Second})
		if err != nil || got.Records != c.records || got.Backlog != c.backlog || got.Blocked != c.blocked {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
