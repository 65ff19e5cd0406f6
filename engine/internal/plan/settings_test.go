package plan

import (
	"strings"
	"testing"
	"time"
)

func TestSettings(t *testing.T) {
	c := DefaultSettings()
	for _, s := range []string{
		"streaming.backpressure.enabled=false", "streaming.backpressure.pid.minRate=7", "locality.wait=3ms",
		"driver.maxResultSize=5", "connector.setting=9", "executor.memory=2g", "local.dir=/big",
	} {
		if err := c.Set(s); err != nil {
			t.Error(err)
		}
	}
	if c.Backpressure || c.PID.MinRate != 7 || c.LocalityWait != 3*time.Millisecond || c.MaxResultSize != 5 || c.ExecutorMemory != 2<<30 || c.LocalDir != "/big" || c.Other["connector.setting"] != "9" {
		t.Errorf("%+v", c)
	}
	for _, s := range []string{"x", "=1", "streaming.backpressure.initialRate=0", "task.maxFailures=0", "locality.wait=-1s", "streaming.backpressure.pid.minRate=NaN", "executor.memory=5", "executor.memory=15m", "local.dir="} {
		if err := c.Set(s); err == nil {
			t.Errorf("%s was taken", s)
		}
	}
}

// Every number and duration that can be set has an upper bound, which the error says.
func TestSettingsHaveUpperBounds(t *testing.T) {
	for _, s := range settings() {
		if s.key == "models.store" || s.key == "checkpoint.store" || s.key == "local.dir" {
			continue // where something is
		}
		refused := 0
		for _, value := range []string{"999999999999999", "99999999999999999999", "2000h", "9999t"} {
			c := DefaultSettings()
			err := c.Set(s.key + "=" + value)
			if err == nil {
				t.Errorf("%s=%s was taken", s.key, value)
			} else if strings.Contains(err.Error(), "too large, at most ") {
				refused++
			}
		}
		if isSwitch := s.set(new(DefaultSettings()), "true") == nil; refused == 0 && !isSwitch {
			t.Errorf("%s doesn't say what its bound is", s.key)
		}
	}
}

func TestParseBytes(t *testing.T) {
	for s, want := range map[string]int64{
		"1b": 1, "2k": 2048, "3kb": 3072, "512m": 512 << 20, "512 MB": 512 << 20, "1.5g": 3 << 29, "2GiB": 2 << 30, "1t": 1 << 40,
	} {
		if got, err := ParseBytes(s); got != want || err != nil {
			t.Errorf("%q: %d, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "5", "g", "0g", "-1g", "1..2g", "5x", "5gg", "5 ", "0.5b", "1e3g", "NaNg", "2000t"} {
		if got, err := ParseBytes(s); err == nil {
			t.Errorf("%q was taken as %d", s, got)
		}
	}
}
