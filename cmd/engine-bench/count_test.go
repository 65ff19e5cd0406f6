package main

import (
	"bytes"
	"flag"
	"testing"
	"time"
)

// Records have the size that was asked for, and a topic that no others are in, unless one was
// named.
func TestRecordBytes(t *testing.T) {
	for _, c := range []struct {
		bytes        int
		named, topic string
	}{
		{40, "", "bench-lines"},
		{784, "", "bench-records-784"},
		{784, "mine", "mine"},
		{1, "", "bench-records-1"},
		{mostBytes, "", "bench-records-1000000"},
	} {
		o := newDrainFlags(flag.NewFlagSet("", flag.ContinueOnError), linesTopic, "", time.Second, 1, 0)
		if c.named != "" {
			*o.topic = c.named
		}
		o.sized(c.bytes)
		if *o.topic != c.topic {
			t.Errorf("%d bytes: topic %s, want %s", c.bytes, *o.topic, c.topic)
		}
		const n = 10_000
		var all, before int
		var last []byte
		for range n {
			record := o.next()
			all += len(record)
			if bytes.Equal(record, last) {
				before++
			}
			last = record
		}
		if c.bytes != lineBytes && all != n*c.bytes || all < n*c.bytes*9/10 || all > n*c.bytes*11/10 {
			t.Errorf("%d bytes: %d records have %d", c.bytes, n, all)
		}
		if c.bytes > 1 && before > n/100 {
			t.Errorf("%d bytes: %d of %d records are the one before", c.bytes, before, n)
		}
	}
}
