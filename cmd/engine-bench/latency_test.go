package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// The job runs where it is asked for, with its batch log where that is asked for; the loop
// knows of neither.
func TestLatencyJobs(t *testing.T) {
	common := "--topic t --brokers b:1 --interval 20ms"
	for _, c := range []struct{ name, master, dir, job, want string }{
		{"local", "local[2]", "", jobEngine, "latency --job engine " + common + " --master local[2]"},
		{"with a log", "local[1]", "/d", jobEngine, "latency --job engine " + common + " --master local[1] --dir /d/t"},
		{"on a cluster", masterCluster, "", jobCluster, "latency --job cluster " + common},
		{"submitted", masterCluster, "", jobEngine, "latency --job engine " + common},
		{"loop", "local[1]", "/d", jobLoop, "latency --job loop " + common},
	} {
		l := &latency{brokers: "b:1", interval: 20 * time.Millisecond, master: c.master, dir: c.dir}
		if got := strings.Join(l.jobArgs(c.job, "t"), " "); got != c.want {
			t.Errorf("%s: %s", c.name, got)
		}
	}
	if local, cluster := (&latency{master: localMaster}).engineJob(), (&latency{master: masterCluster}).engineJob(); local != jobEngine || cluster != jobCluster {
		t.Errorf("the engine is job %s and, on a cluster, %s", local, cluster)
	}
	if interval, args := (&latency{dir: "/d"}).cadence(); interval != time.Second || !slices.Contains(args, "--asap") || !slices.Contains(args, "/d") {
		t.Errorf("a batch each %s with %q", interval, args)
	}
}

// Where the engine ran is said.
func TestLatencyPrinted(t *testing.T) {
	for want, r := range map[string]*latencyResult{
		"on local[2], a broker":                    {Master: "local[2]"},
		"on local[2], batch log on disk, a broker": {Master: "local[2]", Checkpoint: true},
		"on cluster of 3 engine-drivers":           {Master: masterCluster},
	} {
		var text strings.Builder
		r.Brokers = "a broker"
		if r.print(&text); !strings.Contains(text.String(), want) {
			t.Errorf("%s isn't said:\n%s", want, &text)
		}
	}
}
