package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// What was taken before a restart counts as recognised, and its wait for the
// restart as nobody's latency.
func TestRestartIsNoLatency(t *testing.T) {
	since := time.Unix(1000, 0)
	j := &judge{since: since, sources: make(map[int32]*source)}
	for i, taken := range []time.Duration{-time.Hour, -time.Minute, time.Second, 2 * time.Second} {
		read := since.Add(max(0, taken) + 100*time.Millisecond)
		j.take(Digit{Offset: int64(i), Captured: since.Add(taken).UnixNano()}, read)
	}
	s := j.summary(map[int32]int64{0: 4}, true)
	if s.Images != 4 || s.earlier != 2 || s.Lost != 0 || s.LatencyP50 < 95 || s.LatencyP99 > 105 {
		t.Errorf("%+v", s)
	}
	var out bytes.Buffer
	if err := s.write(&out); err != nil || !strings.Contains(out.String(), "4 images, 2 of them taken before the program was started again") {
		t.Errorf("%v\n%s", err, &out)
	}
}
