package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// Records have the size that was asked for, and differ.
func TestRecordBytes(t *testing.T) {
	for _, size := range []int{784, 1, mostBytes} {
		next := recordsOf(size)
		const n = 10_000
		var before int
		var last []byte
		for range n {
			record := next()
			if len(record) != size {
				t.Fatalf("a record has %d bytes, want %d", len(record), size)
			}
			if bytes.Equal(record, last) {
				before++
			}
			last = record
		}
		if size > 1 && before > n/100 {
			t.Errorf("%d bytes: %d of %d records are the one before", size, before, n)
		}
	}
}

// Lines have the bytes that --record-bytes takes them to have.
func TestLineBytes(t *testing.T) {
	next := lines()
	const n = 10_000
	var all int
	for range n {
		all += len(next())
	}
	if all < n*lineBytes*9/10 || all > n*lineBytes*11/10 {
		t.Errorf("%d lines have %d bytes", n, all)
	}
}

// Count says what share of a raw loop's rate the engine has, round for round.
func TestCountBesideRaw(t *testing.T) {
	broker := newBroker(t)
	for _, size := range []string{"40", "784"} {
		got, err := runWorkload(t, "count", "--record-bytes", size, "--records", "500", "--rounds", "2", "--warm-ups", "0", "--interval", "20ms", "--brokers", broker.Addrs()[0])
		if err != nil {
			t.Fatal(err)
		}
		if r := got.(*result); r.RawRate <= 0 || len(r.RawRatios) != 2 || r.RawRatio != median(r.RawRatios) {
			t.Errorf("%s bytes: %+v", size, r)
		}
		var text strings.Builder
		if got.print(&text); !strings.Contains(text.String(), "\n  raw fetch loop: ") {
			t.Errorf("%s bytes: %s", size, &text)
		}
	}
}

// The engine's process is measured, so a master with others is refused, before any broker is asked.
func TestMasters(t *testing.T) {
	for _, line := range []string{
		"count --brokers 127.0.0.1:1", "wordcount --brokers 127.0.0.1:1", "fold --brokers 127.0.0.1:1", "window --brokers 127.0.0.1:1",
		"state --brokers 127.0.0.1:1", "sort", "join", "group", "pagerank", "kmeans",
	} {
		words := strings.Fields(line)
		if _, err := runWorkload(t, words[0], append(words[1:], "--master", "local-cluster[1,1]")...); !errors.Is(err, errUsage) {
			t.Errorf("%s: error %v, want one about the use", line, err)
		}
	}
	for _, master := range []string{"local", "local[2]", "local[*]"} {
		if err := checkLocal(master); err != nil {
			t.Error(err)
		}
	}
}
