package main

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

func TestBenchstat(t *testing.T) {
	realtime := newRealtimeResult(&realtime{queries: realtimeQueries()[:1]}, "", "")
	realtime.Queries[0].add(lag{p50: 2, p99: 8, cpu: 3, rss: 40})
	realtime.Queries[0].add(lag{p50: 1.5, p99: 9, cpu: 4, rss: 41})
	head := fmt.Sprintf("goos: %s\ngoarch: %s\npkg: github.com/hibana-engine/hibana/cmd/engine-bench\n", runtime.GOOS, runtime.GOARCH)
	for _, c := range []struct {
		name string
		r    report
		want string
	}{
		{"count", &result{Records: 10, RecordsPerSecond: 1e7, IntervalMS: 20, Ratio: 1.2, Ratios: []float64{1.1, 1.3}, PeakRSSMiB: 30}, head + `
Unit allocs-per-record better=lower
Unit peak-rss-mib better=lower
Unit records-per-second better=higher
Unit seconds better=lower
BenchmarkCount 1 1.1 ratio
BenchmarkCount 1 1.3 ratio
BenchmarkCount 1 0 allocs-per-record 30 peak-rss-mib 1e+07 records-per-second 0 seconds
`},
		{"failover", &result{Gaps: []gap{{"job-driver", 80}, {"job-driver", 90.5}}}, head + `
Unit allocs-per-record better=lower
Unit ms better=lower
Unit peak-rss-mib better=lower
Unit records-per-second better=higher
Unit seconds better=lower
BenchmarkFailover/job-driver 1 80 ms
BenchmarkFailover/job-driver 1 90.5 ms
BenchmarkFailover 1 0 allocs-per-record 0 peak-rss-mib 0 records-per-second 0 seconds
`},
		{"realtime", realtime, head + `
Unit cpu-seconds better=lower
Unit p50-ms better=lower
Unit p99-ms better=lower
Unit peak-rss-mib better=lower
BenchmarkRealtime/stateless 1 3 cpu-seconds
BenchmarkRealtime/stateless 1 4 cpu-seconds
BenchmarkRealtime/stateless 1 2 p50-ms
BenchmarkRealtime/stateless 1 1.5 p50-ms
BenchmarkRealtime/stateless 1 8 p99-ms
BenchmarkRealtime/stateless 1 9 p99-ms
BenchmarkRealtime/stateless 1 41 peak-rss-mib
`},
	} {
		var out strings.Builder
		if err := writeBenchstat(&out, c.name, c.r); err != nil {
			t.Fatal(err)
		}
		if want := strings.Replace(c.want, "bench\n\n", "bench\n", 1); out.String() != want {
			t.Errorf("%s\nwant\n%s", out.String(), want)
		}
	}
}

// The help of every workload says how it is measured.
func TestHow(t *testing.T) {
	for _, w := range workloads() {
		if s := how(w.name); len(s) < 60 || !strings.HasSuffix(s, ".") {
			t.Errorf("%s: %q", w.name, s)
		}
	}
}
