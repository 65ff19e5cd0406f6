package driver

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// A ticker never rings early, and ends with its context.
func TestTicker(t *testing.T) {
	for name, a := range map[string]ticker{"timer": timerTicker{time.NewTimer(time.Hour)}, "here": newTicker()} {
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

// In virtual time a ticker rings at its time.
func TestTickerInVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newTicker()
		defer a.close()
		began := time.Now()
		if !a.wait(t.Context(), time.Hour) || time.Since(began) != time.Hour {
			t.Errorf("it rang after %s", time.Since(began))
		}
	})
}

// BenchmarkTicker says how late tickers ring in a process that is idle.
func BenchmarkTicker(b *testing.B) {
	for name, a := range map[string]ticker{"timer": timerTicker{time.NewTimer(time.Hour)}, "here": newTicker()} {
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
