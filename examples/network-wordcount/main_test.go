package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
)

// Words are counted in each batch, the most frequent first.
func TestCounts(t *testing.T) {
	enginetest.Operation(t, [][]string{{"a b", "a  a b"}, {}, {"c"}}, counts, [][]count{{{"a", 3}, {"b", 2}}, {}, {{"c", 1}}})
}

// run runs the program until all that is wanted was counted, and returns that.
func run(t *testing.T, opt options, words int64, args ...string) map[string]int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got, all := make(map[string]int64), int64(0)
	args = append([]string{"--master", "local[2]", "--log-level", "error"}, args...)
	err := engine.NewApp("test").Run(ctx, args, 50*time.Millisecond, func(ssc *engine.StreamingContext) error {
		engine.ForEachBatch(counts(lines(ssc, opt)), func(_ engine.Batch, rows []count) error {
			for _, c := range rows {
				got[c.Word] += c.Times
				all += c.Times
			}
			if all >= words {
				ssc.Stop()
			}
			return nil
		})
		return nil
	})
	if err != nil || all != words {
		t.Errorf("%d words of %d, %v", all, words, err)
	}
	return got
}

// The words that a server sends are counted, also those that come after it was restarted.
func TestServer(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		for n := range 2 {
			c, err := server.Accept()
			if err != nil {
				done <- err
				return
			}
			fmt.Fprintf(c, "hello %d\nhello again\n", n)
			if err := c.Close(); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	got := run(t, options{address: server.Addr().String()}, 8, "--asap")
	if err := server.Close(); err != nil { // if the program failed nobody connects any more
		t.Error(err)
	}
	if err := <-done; err != nil && !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if got["hello"] != 4 || got["again"] != 2 || got["0"] != 1 || got["1"] != 1 {
		t.Errorf("%v", got)
	}
}

// What must survive a restart needs a directory, which is a flag of this program.
func TestNeedsDirectory(t *testing.T) {
	err := engine.NewApp("test").Run(t.Context(), []string{"--checkpoint", t.TempDir(), "--log-level", "error"}, time.Second,
		func(ssc *engine.StreamingContext) error { return declare(ssc, options{rate: 1}) })
	if !errors.Is(err, engine.ErrUsage) || !strings.Contains(err.Error(), "--directory names where lines are kept") {
		t.Error(err)
	}
}

// Without a server sentences are made up.
func TestMadeUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := run(t, options{sentences: 40, rate: 20}, 200)
		words := 0
		for _, n := range got {
			words += int(n)
		}
		if words != 200 || got["the"] < 20 {
			t.Errorf("%v", got)
		}
	})
}
