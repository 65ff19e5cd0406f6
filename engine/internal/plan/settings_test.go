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
		"driver.maxResultSize=5", "connector.setting=9",
	} {
		if err := c.Set(s); err != nil {
			t.Error(err)
		}
	}
	if c.Backpressure || c.PID.MinRate != 7 || c.LocalityWait != 3*time.Millisecond || c.MaxResultSize != 5 || c.Other["connector.setting"] != "9" {
		t.Errorf("%+v", c)
	}
	for _, s := range []string{"x", "=1", "streaming.backpressure.initialRate=0", "task.maxFailures=0", "locality.wait=-1s", "streaming.backpressure.pid.minRate=NaN"} {
		if err := c.Set(s); err == nil {
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
