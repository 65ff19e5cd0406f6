package ranges_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
	"github.com/hibana-engine/hibana/connectors/kafka/ranges"
)

// watched returns what plans a topic that is watched, and how often its watcher has told of
// something.
func watched(t *testing.T, b *kafkatest.Broker) (plan func(), told *atomic.Int64) {
	p := newPlanner(t, b, ranges.Options{Logger: slog.New(slog.DiscardHandler)}, "images")
	told = new(atomic.Int64)
	p.Watch(func() { told.Add(1) }, nil)
	return func() {
		t.Helper()
		if _, err := p.Plan(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
	}, told
}

// What a plan holds isn't told; what comes afterwards is told once, at once, until
// the next plan.
func TestWatchTellsOnceAPlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(2, "images"))
		plan, told := watched(t, b)
		want := func(what string, n int64) {
			t.Helper()
			synctest.Wait()
			if got := told.Load(); got != n {
				t.Errorf("%s: told %d times, want %d", what, got, n)
			}
		}
		b.Produce(t, "images", nil, kgo.StringRecord("before"))
		want("nothing is planned", 0)
		plan()
		time.Sleep(2 * time.Second)
		want("all is planned", 0)
		b.Produce(t, "images", nil, kgo.StringRecord("a"))
		want("a record came", 1)
		b.Produce(t, "images", nil, kgo.StringRecord("b"))
		time.Sleep(2 * time.Second)
		want("another one came before it was planned", 1)
		plan()
		time.Sleep(2 * time.Second)
		want("both are planned", 1)
		for i := range int64(5) {
			b.Produce(t, "images", nil, &kgo.Record{Partition: int32(i % 2), Value: []byte("c")})
			want("and again", 2+i)
			plan()
		}
	})
}

// A poll whose news a plan has found meanwhile is followed by the next one at once.
func TestWatchIsOvertakenByAPlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(1, "images"))
		plan, told := watched(t, b)
		const late = 20 * time.Millisecond
		var polls atomic.Int64
		b.Fake.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
			b.Fake.KeepControl()
			polls.Add(1)
			b.Fake.SleepControl(func() { time.Sleep(late) })
			return nil, nil, false
		})
		plan()
		b.Produce(t, "images", nil, kgo.StringRecord("a"))
		plan()
		if n := polls.Load(); n != 1 {
			t.Fatalf("%d polls before the plan, want 1, which the broker hasn't looked at", n)
		}
		time.Sleep(2 * late)
		if n := told.Load(); n != 0 {
			t.Errorf("told %d times what is planned", n)
		}
		b.Produce(t, "images", nil, kgo.StringRecord("b"))
		synctest.Wait()
		if n := told.Load(); n != 1 {
			t.Errorf("told %d times of the next record at once, want once", n)
		}
	})
}

// A transaction that is open isn't told: there is nothing to read. Its end is.
func TestWatchWaitsForTransactions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(1, "images"))
		plan, told := watched(t, b)
		plan()
		cl := b.Client(t, kgo.TransactionalID("open"))
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "images", Value: []byte("a")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		if n := told.Load(); n != 0 {
			t.Errorf("told %d times of an open transaction", n)
		}
		if err := cl.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := told.Load(); n != 1 {
			t.Errorf("told %d times of a committed transaction", n)
		}
	})
}

// While a broker refuses polls, a plan is asked for now and then; afterwards what
// comes is told as ever.
func TestWatchOutlastsFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(1, "images"))
		p := newPlanner(t, b, ranges.Options{Logger: slog.New(slog.DiscardHandler)}, "images")
		told := make(chan struct{}, 1)
		p.Watch(func() { told <- struct{}{} }, nil)
		began := time.Now()
		b.Fake.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
			b.Fake.KeepControl()
			switch since := time.Since(began); {
			case since < 10*time.Second: // the whole request
				resp := req.ResponseKind().(*kmsg.FetchResponse)
				resp.ErrorCode = kerr.UnknownServerError.Code
				return resp, nil, true
			case since < 20*time.Second: // a partition
				resp := req.ResponseKind().(*kmsg.FetchResponse)
				rt := req.(*kmsg.FetchRequest).Topics[0]
				st := kmsg.NewFetchResponseTopic()
				st.Topic, st.TopicID = rt.Topic, rt.TopicID
				sp := kmsg.NewFetchResponseTopicPartition()
				sp.Partition, sp.ErrorCode = 0, kerr.NotLeaderForPartition.Code
				st.Partitions = append(st.Partitions, sp)
				resp.Topics = append(resp.Topics, st)
				return resp, nil, true
			}
			return nil, nil, false
		})
		plan := func() {
			if _, err := p.Plan(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		plan()
		plans := 0
		for ; time.Since(began) < 20*time.Second; plans++ {
			<-told
			plan()
		}
		if plans < 20 || plans > 201 {
			t.Errorf("%d plans were asked for in 20 s", plans)
		}
		time.Sleep(time.Second)
		b.Produce(t, "images", nil, kgo.StringRecord("a"))
		synctest.Wait()
		if len(told) != 1 {
			t.Error("a record isn't told afterwards")
		}
	})
}

// Polls of a broker go on in a session: they name the partitions that have grown. A session that
// the broker has ended begins anew with all of them, and nobody is told of that.
func TestPollsGoOnInASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(3, "images"))
		var mu sync.Mutex
		var polls []string // the epoch, and how many partitions are named
		lost := false
		b.Fake.ControlKey(int16(kmsg.Fetch), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
			b.Fake.KeepControl()
			mu.Lock()
			defer mu.Unlock()
			req, named := kreq.(*kmsg.FetchRequest), 0
			for _, rt := range req.Topics {
				named += len(rt.Partitions)
			}
			polls = append(polls, fmt.Sprintf("%d:%d", req.SessionEpoch, named))
			if lost && req.SessionEpoch > 0 {
				lost = false
				resp := req.ResponseKind().(*kmsg.FetchResponse)
				resp.ErrorCode = kerr.FetchSessionIDNotFound.Code
				return resp, nil, true
			}
			return nil, nil, false
		})
		want := func(what, want string) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if got := strings.Join(polls, " "); got != want {
				t.Errorf("%s: polls %s, want %s", what, got, want)
			}
			polls = nil
		}
		plan, told := watched(t, b)
		plan()
		want("the first", "0:3")
		time.Sleep(time.Second + time.Millisecond)
		want("nothing comes", "1:0 2:0")
		b.Produce(t, "images", nil, &kgo.Record{Partition: 1, Value: []byte("a")})
		synctest.Wait()
		plan()
		want("one has grown", "3:1")
		mu.Lock()
		lost = true
		mu.Unlock()
		time.Sleep(500 * time.Millisecond)
		want("the session is over", "4:0 0:3")
		b.Produce(t, "images", nil, &kgo.Record{Partition: 2, Value: []byte("b")})
		synctest.Wait()
		plan()
		want("another has grown", "1:1")
		if n := told.Load(); n != 2 {
			t.Errorf("told %d times, want once for each record", n)
		}
	})
}

// A partition that another broker leads is watched there, from the next plan on.
func TestWatchFollowsLeaders(t *testing.T) {
	b := kafkatest.Fake(t)
	topic := b.Topic(t, 6)
	p := newPlanner(t, b, ranges.Options{Logger: slog.New(slog.DiscardHandler)}, topic)
	told := make(chan struct{}, 100)
	p.Watch(func() { told <- struct{}{} }, nil)
	cl := b.Client(t, kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for round := range 3 {
		b.Fake.ShufflePartitionLeaders()
		for i := range int32(6) {
			ps, err := p.Plan(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := cl.ProduceSync(t.Context(), &kgo.Record{Partition: i, Value: []byte("a")}).FirstErr(); err != nil {
				t.Fatal(err)
			}
			for end := ps[i].Until; end == ps[i].Until; ps, err = p.Plan(t.Context()) {
				select {
				case <-told:
				case <-time.After(30 * time.Second):
					t.Fatalf("round %d: nothing was told of partition %d, planned until %d", round, i, end)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// threeBrokers starts three brokers in virtual time, each of which leads the partition of its
// number.
func threeBrokers(t *testing.T) *kafkatest.Broker {
	t.Helper()
	b := kafkatest.Virtual(t, kfake.NumBrokers(3), kfake.Ports(9092, 9093, 9094), kfake.SeedTopics(3, "images"))
	for i := range int32(3) {
		moveLeader(t, b, i, i)
	}
	return b
}

// moveLeader lets another broker lead a partition.
func moveLeader(t *testing.T, b *kafkatest.Broker, partition, node int32) {
	t.Helper()
	if err := b.Fake.MoveTopicPartition("images", partition, node); err != nil {
		t.Fatal(err)
	}
}

// A partition that moves to another broker, or is added, while that one keeps a poll costs no
// plan of its own: the poll, which wasn't asked for it, hasn't failed.
func TestWatchTakesInPartitionsMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := threeBrokers(t)
		plan, told := watched(t, b)
		plan()
		want := func(what string, n int64) {
			t.Helper()
			synctest.Wait()
			if got := told.Load(); got != n {
				t.Errorf("%s: told %d times, want %d", what, got, n)
			}
			told.Store(0)
		}
		for round := range int32(4) {
			time.Sleep(100 * time.Millisecond) // polls are under way
			moveLeader(t, b, 0, 1+round%2)
			time.Sleep(700 * time.Millisecond) // longer than a broker keeps a poll, and the watcher waits then
			want("a leader has moved", 1)
			plan()
			time.Sleep(2 * time.Second)
			want("it is planned", 0)
			b.Produce(t, "images", nil, kgo.StringRecord("a"))
			want("the new leader has a record", 1)
			plan()
		}
		if _, err := b.Admin().CreatePartitions(t.Context(), 3, "images"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5800 * time.Millisecond) // until the Planner asks for the leaders again, in the middle of a poll
		plan()
		time.Sleep(2 * time.Second)
		want("partitions are added", 0)
		for i := range int32(6) {
			b.Produce(t, "images", nil, &kgo.Record{Partition: i})
			want("it has a record", 1)
			plan()
		}
	})
}

// Where a poll has failed, and a plan comes before that is told, there is nothing to tell.
func TestWatchLeavesFailuresToPlans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := threeBrokers(t)
		plan, told := watched(t, b)
		for range 5 {
			plan()
			b.Cut(0)
			time.Sleep(20 * time.Millisecond)
			plan()
			time.Sleep(2 * time.Second)
			if n := told.Swap(0); n != 0 {
				t.Errorf("told %d times what was planned", n)
			}
			b.Cut(0)
			time.Sleep(200 * time.Millisecond)
			if n := told.Swap(0); n != 1 {
				t.Errorf("told %d times, want once, as no plan came", n)
			}
		}
	})
}

// While a broker is lost, or hangs up, nothing is asked for as fast as that fails. Whoever leads its
// partitions then, all is read, once and in time.
func TestWatchOutlastsBrokers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := threeBrokers(t)
		var logs logBuffer
		o := ranges.Options{Logger: slog.New(slog.NewTextHandler(&logs, nil))}
		p, r := newPlanner(t, b, o, "images"), newReader(t, b, o)
		told := make(chan struct{}, 1)
		p.Watch(func() {
			select {
			case told <- struct{}{}:
			default:
			}
		}, r)
		var asked, plans atomic.Int64
		b.Fake.Control(func(kmsg.Request) (kmsg.Response, error, bool) {
			b.Fake.KeepControl()
			asked.Add(1)
			return nil, nil, false
		})
		ctx, cancel := context.WithCancel(t.Context())
		var stream sync.WaitGroup
		defer stream.Wait()
		defer cancel()
		values := make(chan string, 100)
		stream.Go(func() {
			next := make([]int64, 3)
			for {
				ps, err := p.Plan(ctx)
				plans.Add(1)
				for i := 0; i < len(ps) && err == nil; i++ {
					for rec, e := range r.Read(ctx, ps[i].Range(next[i])) {
						if err = e; err == nil {
							values <- string(rec.Value)
						}
					}
					next[i] = ps[i].Until
				}
				if err != nil && ctx.Err() == nil {
					t.Error(err)
				}
				if err != nil {
					return
				}
				select {
				case <-told:
				case <-ctx.Done():
				}
			}
		})
		sent := 0
		send := func(partitions ...int32) {
			for _, i := range partitions {
				sent++
				b.Produce(t, "images", nil, &kgo.Record{Partition: i, Value: fmt.Append(nil, sent)})
			}
		}
		isRead := func(what string, most int64) { // with so many plans at most
			t.Helper()
			time.Sleep(1200 * time.Millisecond)
			if n := plans.Swap(0); n > most {
				t.Errorf("%s: %d plans", what, n)
			}
			n, seen := len(values), make(map[string]bool)
			for range n {
				seen[<-values] = true
			}
			if n != sent || len(seen) != sent {
				t.Errorf("%s: %d records are read, %d of %d", what, n, len(seen), sent)
			}
			sent = 0
		}
		send(0, 1, 2)
		isRead("all is well", 4)
		b.Cut(1)
		send(0, 1, 2)
		isRead("a broker hangs up", 4)
		b.Lose(1)
		send(0, 2)
		asked.Store(0)
		time.Sleep(40 * time.Second)
		if n := asked.Load(); n > 1000 {
			t.Errorf("asked %d times in 40 s", n)
		}
		moveLeader(t, b, 1, 2)
		isRead("another one leads", 4)
		send(0, 1, 2)
		isRead("it is still lost", 4)
		b.Return(1)
		moveLeader(t, b, 1, 1)
		send(0, 1, 2)
		isRead("it has come back", 6)
		if w, g := logs.count("kafka: waiting"), logs.count("kafka: goes on"); w != 2 || g != 1 {
			t.Errorf("%d lines that it waits, %d that it goes on", w, g)
		}
	})
}

// What was told just now isn't asked for again, but for now and then; what comes
// while a plan is put off is in it all the same.
func TestPlanTakesWhatWasTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(2, "images"))
		p := newPlanner(t, b, ranges.Options{Logger: slog.New(slog.DiscardHandler)}, "images")
		told := make(chan struct{}, 1)
		p.Watch(func() { told <- struct{}{} }, nil)
		var asked atomic.Int64
		b.Fake.ControlKey(int16(kmsg.ListOffsets), func(kmsg.Request) (kmsg.Response, error, bool) {
			b.Fake.KeepControl()
			asked.Add(1)
			return nil, nil, false
		})
		plan := func(want int64) {
			t.Helper()
			ps, err := p.Plan(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := ps[0].Until + ps[1].Until; got != want {
				t.Errorf("planned %d records, want %d", got, want)
			}
		}
		send := func(n int) {
			b.Produce(t, "images", nil, &kgo.Record{Partition: int32(n % 2), Value: []byte("a")})
		}
		plan(0)
		asked.Store(0)
		for i := range 200 { // five milliseconds apart
			send(i)
			<-told
			plan(int64(i + 1))
			time.Sleep(5 * time.Millisecond)
		}
		if n := asked.Load(); n < 10 || n > 30 { // for the ends and the high watermarks
			t.Errorf("asked %d times in 1 s", n)
		}
		send(0)
		<-told
		send(0)
		send(1)
		time.Sleep(2 * time.Millisecond) // a batch runs
		plan(203)
	})
}

// What comes while a batch runs is polled on, for tasks of the same process: the next plan
// holds it without asking for the ends, and nothing of it is fetched. What is too much to be
// kept is.
func TestWatchGoesOnWhileABatchRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(2, "images"))
		p, r := newPlanner(t, b, ranges.Options{}, "images"), newReader(t, b, ranges.Options{})
		var told, asked atomic.Int64
		p.Watch(func() { told.Add(1) }, r)
		b.Fake.ControlKey(int16(kmsg.ListOffsets), func(kmsg.Request) (kmsg.Response, error, bool) {
			b.Fake.KeepControl()
			asked.Add(1)
			return nil, nil, false
		})
		next := make([]int64, 2)
		plan := func() (read []ranges.Range) {
			t.Helper()
			ps, err := p.Plan(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for i := range ps {
				read = append(read, ps[i].Range(next[i]))
				next[i] = ps[i].Until
			}
			return read
		}
		reads := func(rs []ranges.Range, want int) {
			t.Helper()
			total := 0
			for _, rg := range rs {
				lines, err := read(t, r, rg)
				if err != nil {
					t.Fatal(err)
				}
				total += len(lines)
			}
			if total != want {
				t.Errorf("read %d records, want %d", total, want)
			}
		}
		send := func(partition int32, n int) {
			for range n {
				b.Produce(t, "images", nil, &kgo.Record{Partition: partition, Value: []byte("a")})
				synctest.Wait()
			}
		}
		plan()
		asked.Store(0)
		send(0, 3)
		time.Sleep(20 * time.Millisecond) // a batch runs
		send(1, 1)
		first := plan()
		send(0, 2) // before the tasks of what was planned read
		reads(first, 4)
		time.Sleep(20 * time.Millisecond)
		reads(plan(), 2)
		if n := told.Load(); n != 2 {
			t.Errorf("told %d times, want once for each plan", n)
		}
		if s := r.Stats(); s.Fetches != 0 || asked.Load() != 0 {
			t.Errorf("asked for ends %d times, fetched %d times: want all from the polls", asked.Load(), s.Fetches)
		}
		send(1, 40)
		time.Sleep(20 * time.Millisecond)
		reads(plan(), 40)
		if s := r.Stats(); s.Fetches == 0 || asked.Load() == 0 {
			t.Error("more was kept than there is room for")
		}
		send(0, 1)
		reads(plan(), 1)
	})
}

// What a poll has read isn't taken for what a later leader has at the same offsets: it may have been
// elected without having all records.
func TestPolledRecordsAreOneLeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(1, "images", "other"))
		numbered(t, b, "images", 3)
		b.Produce(t, "other", nil, kgo.StringRecord("lost"))
		lost := rawBatch(t, b, "other")
		binary.BigEndian.PutUint64(lost, 3) // it is behind those of images
		p, r := newPlanner(t, b, ranges.Options{Logger: slog.New(slog.DiscardHandler)}, "images"), newReader(t, b, ranges.Options{})
		var told atomic.Int64
		p.Watch(func() { told.Add(1) }, r)
		polled := false
		fetchOnce(b, func(req *kmsg.FetchRequest, p *kmsg.FetchResponseTopicPartition) bool {
			p.RecordBatches, p.HighWatermark, p.LastStableOffset = lost, 4, 4
			first := !polled && req.MaxWaitMillis > 0
			polled = polled || first
			return first
		})
		if ps, err := p.Plan(t.Context()); err != nil || ps[0].Until != 3 {
			t.Fatal(ps, err)
		}
		synctest.Wait()
		if n := told.Load(); n != 1 {
			t.Fatalf("told %d times", n)
		}
		moveLeader(t, b, 0, 0)
		b.Produce(t, "images", nil, kgo.StringRecord("kept"))
		time.Sleep(time.Second)
		ps, err := p.Plan(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if lines, err := read(t, r, ps[0].Range(3)); err != nil || len(lines) != 1 || !strings.Contains(lines[0], "kept") {
			t.Errorf("%q, %v", lines, err)
		}
	})
}

// Brokers answer a poll when there is something to read, not before, whatever
// wrote it.
func TestWatchBrokers(t *testing.T) {
	kafkatest.Brokers(t, func(t *testing.T, b *kafkatest.Broker) {
		topic := b.Topic(t, 3)
		p := newPlanner(t, b, ranges.Options{}, topic)
		told := make(chan struct{}, 100)
		p.Watch(func() { told <- struct{}{} }, nil)
		cl := b.Client(t, kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionalID(topic))
		var end int64
		for i := range int32(9) {
			ps, err := p.Plan(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			before := ps[i%3].Until
			if err := cl.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			if err := cl.ProduceSync(t.Context(), &kgo.Record{Partition: i % 3, Value: make([]byte, 1000)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
			if n := len(told); n > 0 {
				t.Errorf("told %d times of an open transaction", n)
			}
			if err := cl.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
				t.Fatal(err)
			}
			select {
			case <-told:
			case <-time.After(30 * time.Second):
				t.Fatal("a committed transaction isn't told")
			}
			if ps, err = p.Plan(t.Context()); err != nil || ps[i%3].Until != before+2 {
				t.Errorf("%v, %v: want partition %d until %d", ps, err, i%3, before+2)
			}
			end += 2
		}
		if ps, err := p.Plan(t.Context()); err != nil || ps[0].Until+ps[1].Until+ps[2].Until != end {
			t.Errorf("%v, %v", ps, err)
		}
	})
}

// What a poll has read, tasks of the same process don't fetch again, however much of
// it there is: not what was aborted, and the rest of what a poll cut off.
func TestPolledRecordsAreRead(t *testing.T) {
	kafkatest.Brokers(t, func(t *testing.T, b *kafkatest.Broker) {
		topic := b.Topic(t, 1)
		p, r := newPlanner(t, b, ranges.Options{}, topic), newReader(t, b, ranges.Options{})
		told := make(chan struct{}, 100)
		p.Watch(func() { told <- struct{}{} }, r)
		cl := b.Client(t, kgo.DefaultProduceTopic(topic), kgo.TransactionalID(topic), kgo.ProducerBatchCompression(kgo.NoCompression()))
		next := int64(0)
		step := func(n int, how kgo.TransactionEndTry, want int) {
			t.Helper()
			if err := cl.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			for range n {
				if err := cl.ProduceSync(t.Context(), &kgo.Record{Value: make([]byte, 1000)}).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
			if err := cl.EndTransaction(t.Context(), how); err != nil {
				t.Fatal(err)
			}
			select {
			case <-told:
			case <-time.After(30 * time.Second):
				t.Fatal("a transaction's end isn't told")
			}
			ps, err := p.Plan(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			rg := ps[0].Range(next)
			next = rg.Until
			if lines, err := read(t, r, rg); err != nil || len(lines) != want {
				t.Errorf("%v: %d records, %v, want %d", rg, len(lines), err, want)
			}
		}
		if _, err := p.Plan(t.Context()); err != nil {
			t.Fatal(err)
		}
		step(3, kgo.TryCommit, 3)
		step(2, kgo.TryAbort, 0)
		step(1, kgo.TryCommit, 1)
		if s := r.Stats(); s.Fetches != 0 || s.Leftovers != 3 {
			t.Errorf("%+v: want all from the polls", s)
		}
		step(100, kgo.TryCommit, 100)
		if s := r.Stats(); s.Fetches == 0 || s.Leftovers != 4 {
			t.Errorf("%+v: want the rest to be fetched", s)
		}
	})
}
