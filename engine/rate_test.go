package engine

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// The steps are Spark's PIDRateEstimatorSuite in other numbers.
func TestPIDEstimator(t *testing.T) {
	at := func(s float64) time.Time { return time.Unix(0, int64(s*1e9)) }
	type step struct {
		at                     float64
		records                int64
		processing, scheduling time.Duration
		rate                   float64 // 0: no estimate
	}
	const second = time.Second
	for name, c := range map[string]struct {
		gains pidGains
		steps []step
	}{
		"no estimate": {pidGains{1, 1, 0, 10}, []step{
			{1, 1000, second, 0, 0}, // the first
			{1, 1000, second, 0, 0}, // time stands still
			{2, 0, second, 0, 0},    // no elements
			{2, 1000, 0, 0, 0},      // no delay
		}},
		"proportional alone follows the processing rate": {pidGains{1, 0, 0, 10}, []step{
			{1, 1000, second, 0, 0}, {2, 3000, second, 0, 3000}, {3, 500, second / 2, 0, 1000},
		}},
		"scheduling delay lowers the rate": {pidGains{1, 0.2, 0, 10}, []step{
			{1, 1000, second, 0, 0}, {2, 1000, second, second, 800},
		}},
		"not below the minimum": {pidGains{1, 1, 0, 100}, []step{
			{1, 1000, second, 0, 0}, {2, 1000, second, 10 * second, 100},
		}},
		"derivative damps": {pidGains{0, 0, 1, 10}, []step{
			{1, 1000, second, 0, 0}, {2, 800, second, 0, 800},
		}},
	} {
		e := pidEstimator{gains: c.gains}
		for i, s := range c.steps {
			rate, ok := e.observe(at(s.at), s.records, s.processing, s.scheduling, second)
			if ok != (s.rate > 0) || rate != s.rate {
				t.Errorf("%s: step %d gives %v, %v, want %v", name, i, rate, ok, s.rate)
			}
		}
	}
}

func TestSettings(t *testing.T) {
	c := defaultConf()
	for _, s := range []string{
		"streaming.backpressure.enabled=false", "streaming.backpressure.pid.minRate=7", "locality.wait=3ms",
		"driver.maxResultSize=5", "streaming.kafka.maxRatePerPartition=9",
	} {
		if err := c.set(s); err != nil {
			t.Error(err)
		}
	}
	if c.backpressure || c.pid.minRate != 7 || c.localityWait != 3*time.Millisecond || c.maxResultSize != 5 || c.other["streaming.kafka.maxRatePerPartition"] != "9" {
		t.Errorf("%+v", c)
	}
	for _, s := range []string{"x", "no.such=1", "streaming.backpressure.initialRate=0", "task.maxFailures=0", "locality.wait=-1s", "streaming.backpressure.pid.minRate=NaN"} {
		if err := c.set(s); err == nil {
			t.Errorf("%s was taken", s)
		}
	}
}

// Every number and duration that can be set has an upper bound, which the error says.
func TestSettingsHaveUpperBounds(t *testing.T) {
	for _, s := range settings() {
		if s.key == "models.store" {
			continue // an address
		}
		refused := 0
		for _, value := range []string{"999999999999999", "99999999999999999999", "2000h"} {
			c := defaultConf()
			err := c.set(s.key + "=" + value)
			if err == nil {
				t.Errorf("%s=%s was taken", s.key, value)
			} else if strings.Contains(err.Error(), "too large, at most ") {
				refused++
			}
		}
		if isSwitch := s.set(new(defaultConf()), "true") == nil; refused == 0 && !isSwitch {
			t.Errorf("%s doesn't say what its bound is", s.key)
		}
	}
	_, err := NewApp("test").newJob(nil, 25*time.Hour, nil)
	if !errors.Is(err, ErrUsage) {
		t.Errorf("an interval of 25 h: %v", err)
	}
}

func TestMaster(t *testing.T) {
	for master, want := range map[string]int{"local": 1, "local[3]": 3, "local[0]": 0, "local[-1]": 0, "local[x]": 0, "spark://a": 0, "": 0, "local[2": 0,
		"local-cluster[2,3]": 6, "local-cluster[2]": 0, "local-cluster[0,1]": 0, "local-cluster[1,0]": 0} {
		a := NewApp("test")
		a.opts.master = master
		m, err := a.newMaster(slog.New(slog.DiscardHandler))
		got := 0
		if err == nil {
			got, err = m.parallelism(t.Context())
		}
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d, %v", master, got, err)
		}
	}
}
