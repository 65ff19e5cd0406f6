package plan

import (
	"testing"
	"time"
)

func TestSettings(t *testing.T) {
	c := DefaultSettings()
	for _, s := range []string{
		"streaming.backpressure.enabled=false", "streaming.backpressure.pid.minRate=7", "locality.wait=3ms",
		"driver.maxResultSize=5", "streaming.kafka.maxRatePerPartition=9",
	} {
		if err := c.Set(s); err != nil {
			t.Error(err)
		}
	}
	if c.Backpressure || c.PID.MinRate != 7 || c.LocalityWait != 3*time.Millisecond || c.MaxResultSize != 5 || c.Other["streaming.kafka.maxRatePerPartition"] != "9" {
		t.Errorf("%+v", c)
	}
	for _, s := range []string{"x", "no.such=1", "streaming.backpressure.initialRate=0", "task.maxFailures=0", "locality.wait=-1s", "streaming.backpressure.pid.minRate=NaN"} {
		if err := c.Set(s); err == nil {
			t.Errorf("%s was taken", s)
		}
	}
}
