package receivers_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/connectors/receivers"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/client"
	"github.com/hibana-engine/hibana/engine/minicluster/clustertest"
)

// feedProgram receives numbers from a feed and writes those of each batch to a file.
func feedProgram() {
	app := engine.NewApp("feed")
	address := app.Flags().String("feed", "", "`HOST:PORT` of the feed")
	dir := app.Flags().String("directory", "", "a `directory` for what is received")
	out := app.Flags().String("out", "", "a `directory` for the batches")
	app.Stream(50*time.Millisecond, func(ssc *engine.StreamingContext) error {
		d := receivers.Stream(ssc, "feed", func(ctx context.Context, store receivers.Store) error {
			return fromFeed(ctx, *address, store)
		}, receivers.Directory(*dir))
		engine.ForEachBatch(engine.Map(d, func(b []byte) string { return string(b) }), func(b engine.Batch, rows []string) error {
			if len(rows) == 0 {
				return nil
			}
			file := filepath.Join(*out, fmt.Sprint(b.Seq)) // again, if the batch runs again
			if err := os.WriteFile(file+".tmp", []byte(strings.Join(rows, " ")), 0o600); err != nil {
				return err
			}
			return os.Rename(file+".tmp", file)
		})
		return nil
	})
}

// fromFeed says which process it is, and acknowledges each number that is stored.
func fromFeed(ctx context.Context, address string, store receivers.Store) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	defer func() { _ = conn.Close() }()
	fmt.Fprintln(conn, os.Getpid())
	for numbers := bufio.NewScanner(conn); numbers.Scan(); {
		if err := store(ctx, []byte(numbers.Text())); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(conn, numbers.Text()); err != nil {
			return err
		}
	}
	return errors.New("the feed has ended")
}

// feed gives each number to one connection, and the next one when that is acknowledged.
type feed struct {
	net.Listener
	work sync.WaitGroup

	mu           sync.Mutex
	pid          int // of who connected last
	connected    int
	next         int
	acknowledged map[int]int // by which process
	closed       bool
}

// serve serves until the listener is closed, or ctx ends, and with it the connections.
func (f *feed) serve(ctx context.Context) {
	defer f.work.Wait()
	defer context.AfterFunc(ctx, func() { _ = f.Close() })()
	for {
		conn, err := f.Accept()
		if err != nil {
			return
		}
		f.work.Go(func() {
			defer func() { _ = conn.Close() }()
			defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
			f.give(conn)
		})
	}
}

// give gives numbers to a connection.
func (f *feed) give(conn net.Conn) {
	answers := bufio.NewScanner(conn)
	if !answers.Scan() {
		return
	}
	pid, err := strconv.Atoi(answers.Text())
	if err != nil {
		return
	}
	f.mu.Lock()
	f.pid = pid
	f.connected++
	f.mu.Unlock()
	for {
		f.mu.Lock()
		n := f.next
		f.next++
		closed := f.closed
		f.mu.Unlock()
		if closed {
			return
		}
		fmt.Fprintln(conn, n)
		if !answers.Scan() || answers.Text() != strconv.Itoa(n) {
			return // whether it is stored nobody knows
		}
		f.mu.Lock()
		f.acknowledged[n] = pid
		f.mu.Unlock()
	}
}

// state returns which process receives, and how many numbers each has acknowledged.
func (f *feed) state() (pid int, acknowledged map[int]int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	acknowledged = make(map[int]int)
	for _, by := range f.acknowledged {
		acknowledged[by]++
	}
	return f.pid, acknowledged
}

// TestKilledCluster runs a receiver on a cluster of real daemons, kills the executor process that
// receives and the job's driver process, stops an executor process as if the network had split,
// and drains an executor. Each time another receiver goes on, and what was acknowledged is read,
// once: also what a process acknowledges that doesn't know yet that it is out.
func TestKilledCluster(t *testing.T) {
	if _, err := os.Stat("/proc/self/task"); err != nil {
		t.Skip("the job's processes are found in /proc")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	c, _ := clustertest.Start(t, 1)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f := &feed{acknowledged: make(map[int]int)}
	if f.Listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() { f.serve(ctx); close(served) }()
	dir, out := t.TempDir(), t.TempDir()
	job, err := c.Client.Submit(ctx, client.Submission{Binary: self, Name: "feed", Args: []string{"--feed", f.Addr().String(), "--directory", dir, "--out", out}})
	if err != nil {
		t.Fatal(err)
	}
	poll := func(what string, good func() bool) {
		t.Helper()
		for !good() {
			select {
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
				_ = c.Client.Logs(context.WithoutCancel(ctx), job.JobRef, client.LogOptions{}, t.Output())
				t.Fatalf("waiting for %s", what)
			}
		}
	}
	// receiving waits until a process other than one receives, and returns it.
	receiving := func(other int) (pid int) {
		t.Helper()
		poll("a receiver", func() bool {
			var acknowledged map[int]int
			pid, acknowledged = f.state()
			return pid != other && acknowledged[pid] >= 50
		})
		return pid
	}
	signal := func(pid int, s syscall.Signal) {
		t.Helper()
		if err := syscall.Kill(pid, s); err != nil {
			t.Fatal(err)
		}
	}

	first := receiving(0)
	signal(first, syscall.SIGKILL)
	second := receiving(first)

	leader, err := c.Leader(ctx)
	if err != nil {
		t.Fatal(err)
	}
	driver, err := c.Child(leader)
	if err != nil {
		t.Fatal(err)
	}
	before := f.connections()
	signal(driver, syscall.SIGKILL)
	poll("a receiver of the next driver", func() bool { return f.connections() > before })
	third := receiving(0)

	signal(third, syscall.SIGSTOP)
	fourth := receiving(third)
	_ = syscall.Kill(third, syscall.SIGCONT) // it may store what has come, unless its daemon has killed it
	for _, id := range []string{"e1", "e2"} {
		if pid, err := c.Child(id); err == nil && pid == fourth {
			if _, err := c.Client.Drain(ctx, id, true); err != nil { // the other one may not be back
				t.Fatal(err)
			}
		}
	}
	fifth := receiving(fourth)
	t.Logf("processes %d, %d, %d, %d and %d have received", first, second, third, fourth, fifth)
	if _, by := f.state(); by[driver] > 0 {
		t.Errorf("the driver's process %d has received", driver)
	}

	f.end()
	var times map[int]int
	poll("what was acknowledged", func() bool {
		times = written(t, out)
		for n := range f.acknowledged {
			if times[n] == 0 {
				return false
			}
		}
		return true
	})
	if _, err := c.Client.Kill(ctx, job.JobRef, false); err != nil {
		t.Fatal(err)
	}
	<-served
	for n, k := range written(t, out) {
		if k > 1 {
			t.Errorf("number %d was read %d times", n, k)
		}
	}
	for n := range f.acknowledged {
		if times[n] != 1 {
			t.Errorf("number %d was read %d times", n, times[n])
		}
	}
}

// connections returns how many connections there were.
func (f *feed) connections() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.connected
}

// end gives no more numbers, and waits until those that were given are acknowledged or lost, or
// serve's context has ended.
func (f *feed) end() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	_ = f.Close()
	f.work.Wait()
}

// written returns how often each number was written.
func written(t *testing.T, dir string) map[int]int {
	t.Helper()
	times := make(map[int]int)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".tmp") {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range strings.Fields(string(b)) {
			n, err := strconv.Atoi(word)
			if err != nil {
				t.Fatalf("%q was read", word)
			}
			times[n]++
		}
	}
	return times
}
