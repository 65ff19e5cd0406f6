package engine

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// An alarm never rings early, and ends with its context.
func TestAlarm(t *testing.T) {
	for name, a := range map[string]alarm{"timer": timerAlarm{time.NewTimer(time.Hour)}, "here": newAlarm()} {
		began := time.Now()
		for range 3 {
			if !a.wait(t.Context(), time.Millisecond) {
				t.Errorf("%s: it didn't ring", name)
			}
		}
		if d := time.Since(began); d < 3*time.Millisecond {
			t.Errorf("%s: rang three times in %s", name, d)
		}
		if !a.wait(t.Context(), -time.Second) {
			t.Errorf("%s: a time that is over didn't ring", name)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan bool)
		go func() { ended <- a.wait(ctx, time.Hour) }()
		cancel()
		if <-ended {
			t.Errorf("%s: it rang when its context ended", name)
		}
		if a.wait(ctx, time.Hour) {
			t.Errorf("%s: it rang after its context's end", name)
		}
		a.close()
	}
}

// In virtual time an alarm rings at its time.
func TestAlarmInVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAlarm()
		defer a.close()
		began := time.Now()
		if !a.wait(t.Context(), time.Hour) || time.Since(began) != time.Hour {
			t.Errorf("it rang after %s", time.Since(began))
		}
	})
}

// BenchmarkAlarm says how late alarms ring in a process that is idle.
func BenchmarkAlarm(b *testing.B) {
	for name, a := range map[string]alarm{"timer": timerAlarm{time.NewTimer(time.Hour)}, "here": newAlarm()} {
		b.Run(name, func(b *testing.B) {
			var late []time.Duration
			for b.Loop() {
				next := time.Now().Add(5*time.Millisecond + 300*time.Microsecond)
				a.wait(b.Context(), time.Until(next))
				late = append(late, time.Since(next))
			}
			slices.Sort(late)
			b.ReportMetric(float64(late[len(late)/2].Microseconds()), "µs-late-p50")
			b.ReportMetric(float64(late[len(late)*99/100].Microseconds()), "µs-late-p99")
		})
	}
}
