package kafka

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/hibana-engine/hibana/connectors/kafka/kafkatest"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd/task"
)

// A sink that waits for Kafka says so, and why.
func TestSinkSaysThatItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(1, "out"))
		b.HangUp(kmsg.Produce)
		var log bytes.Buffer
		s := sink[string]{producers: producers{b.Addrs, &b.Opts, slog.New(slog.NewTextHandler(&log, nil))}, topic: "out", encode: String}
		ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
		defer cancel()
		process := &task.Process{}
		defer func() { _ = process.Close() }()
		rows := func(yield func(string, error) bool) { yield("x", nil) }
		freed := 0
		err := s.write(engine.Batch{}, &task.Context{Context: ctx, Process: process, FreeSlot: func() { freed++ }}, rows)
		if freed != 1 {
			t.Errorf("freed its slot %d times", freed)
		}
		lines := slices.Collect(strings.Lines(log.String()))
		if !errors.Is(err, context.DeadlineExceeded) || len(lines) < 2 || !strings.Contains(lines[1], "waiting for acknowledgements") ||
			!strings.Contains(lines[1], "topic=out records=1") || !strings.Contains(lines[1], "EOF") {
			t.Errorf("%v\n%s", err, &log)
		}
	})
}

// While a broker is away a sink takes as much as may wait for it, and no more.
func TestSinkBuffersSoMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(1, "out"))
		b.HangUp(kmsg.Produce)
		value := make([]byte, 900<<10) // of all records
		encode := func(string) ([]byte, error) { return value, nil }
		s := sink[string]{producers: producers{b.Addrs, &b.Opts, slog.New(slog.DiscardHandler)}, topic: "out", encode: encode}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		process := &task.Process{}
		defer func() { _ = process.Close() }()
		taken := 0
		rows := func(yield func(string, error) bool) {
			for ctx.Err() == nil && taken < 400 {
				if taken++; !yield("x", nil) {
					return
				}
			}
		}
		err := s.write(engine.Batch{}, &task.Context{Context: ctx, Process: process}, rows)
		if most := maxBuffered/len(value) + 1; !errors.Is(err, context.DeadlineExceeded) || taken < most/2 || taken > most {
			t.Errorf("took %d records, want up to %d: %v", taken, most, err)
		}
	})
}

// A task that waits isn't said to have waited for as long as those before it.
func TestSinkSaysHowLongItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(1, "out"))
		b.HangUp(kmsg.Produce)
		var log bytes.Buffer
		p := producers{b.Addrs, &b.Opts, slog.New(slog.NewTextHandler(&log, nil))}
		process := &task.Process{}
		defer func() { _ = process.Close() }()
		out, err := p.open(process, usual)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		out.Produce(ctx, &kgo.Record{Topic: "out", Value: []byte("x")}, nil)
		wait := func(d time.Duration, tasks, want int) {
			t.Helper()
			var stops []func()
			for range tasks {
				stops = append(stops, out.watch(p.log, "out"))
			}
			time.Sleep(d)
			for _, stop := range stops {
				stop()
			}
			if n := strings.Count(log.String(), "waiting for acknowledgements"); n != want {
				t.Errorf("said %d times in all, want %d:\n%s", n, want, &log)
			}
		}
		wait(3*time.Second, 1, 0)
		wait(4900*time.Millisecond, 2, 0)
		wait(5100*time.Millisecond, 2, 1)
		time.Sleep(time.Minute)
		wait(11*time.Second, 1, 3)
	})
}

// Who waits for another task's large record to be sent ends with its own task.
func TestLargeRecordsWaitWithTheirTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.Virtual(t, kfake.SeedTopics(1, "dead"))
		b.HangUp(kmsg.Produce)
		p := producers{b.Addrs, &b.Opts, slog.New(slog.DiscardHandler)}
		process := &task.Process{}
		defer func() { _ = process.Close() }()
		usual, err := p.open(process, usual)
		if err != nil {
			t.Fatal(err)
		}
		send := func(ctx context.Context) <-chan error {
			sent := make(chan error, 1)
			go func() {
				sent <- p.sendAlone(&task.Context{Context: ctx, Process: process}, usual, &kgo.Record{Topic: "dead"})
			}()
			return sent
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		first := send(ctx)
		time.Sleep(time.Second) // the first has its turn
		killed, kill := context.WithCancelCause(t.Context())
		second := send(killed)
		synctest.Wait()
		why, at := errors.New("the task was killed"), time.Now()
		kill(why)
		if err := <-second; !errors.Is(err, why) || time.Since(at) > time.Second {
			t.Errorf("after %v: %v", time.Since(at), err)
		}
		select {
		case err := <-first:
			t.Errorf("the first has ended: %v", err)
		default:
		}
		cancel()
		if err := <-first; !errors.Is(err, context.Canceled) {
			t.Errorf("the first: %v", err)
		}
	})
}
