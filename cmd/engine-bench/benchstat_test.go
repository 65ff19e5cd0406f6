package main

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/cmd/engine-bench/paper"
)

func TestBenchstat(t *testing.T) {
	realtime := newRealtimeResult(&realtime{queries: realtimeQueries()[:1]}, "", "")
	realtime.Queries[0].add(lag{p50: 2, p99: 8, cpu: 3, rss: 40})
	realtime.Queries[0].add(lag{p50: 1.5, p99: 9, cpu: 4, rss: 41})
	compared := &compareResult{Rounds: 1}
	compared.add(&contest{work: "count", figures: []string{figureRate}}, "bare franz-go", []float64{6e6}, []float64{5e6})
	compared.add(&contest{work: "copy at 10/s", figures: []string{figureP50}}, "Kafka Streams", []float64{2}, []float64{4})
	cell := paper.Cell{Setup: paper.Setup{Nodes: 1, Replication: 1}, Partitions: 4, Scenario: paper.Read, Reader: paper.Engine, Consumers: 1}
	rows := []paper.Row{{Run: paper.Run{Cell: cell, Repetition: 1}, Measured: paper.Measured{Read: 8}}, {Run: paper.Run{Cell: cell, Repetition: 2}, Measured: paper.Measured{Read: 6}}}
	cell.Reader = paper.Bare
	rows = append(rows, paper.Row{Run: paper.Run{Cell: cell, Repetition: 1}, Measured: paper.Measured{Read: 10}})
	grid := paper.Summarise(paper.Grid{Nodes: []int{1}, Replications: []int{1}, Partitions: []int{4}, Consumers: []int{1}, Repetitions: 2}, rows)
	head := fmt.Sprintf("goos: %s\ngoarch: %s\npkg: github.com/hibana-engine/hibana/cmd/engine-bench\n", runtime.GOOS, runtime.GOARCH)
	for _, c := range []struct {
		name string
		r    report
		want string
	}{
		{"count", &result{Records: 10, RecordsPerSecond: 1e7, IntervalMS: 20, Ratio: 1.2, Ratios: []float64{1.1, 1.3}, RawRate: 2e7, RawRatio: 0.5, RawRatios: []float64{0.4, 0.6}, PeakRSSMiB: 30}, head + `
Unit allocs-per-record better=lower
Unit peak-rss-mib better=lower
Unit raw-records-per-second better=higher
Unit records-per-second better=higher
Unit seconds better=lower
BenchmarkCount 1 1.1 ratio
BenchmarkCount 1 1.3 ratio
BenchmarkCount 1 0.4 raw-ratio
BenchmarkCount 1 0.6 raw-ratio
BenchmarkCount 1 0 allocs-per-record 30 peak-rss-mib 2e+07 raw-records-per-second 1e+07 records-per-second 0 seconds
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
		{"compare", compared, head + `
Unit engine-p50-ms better=lower
Unit engine-records/s better=higher
Unit theirs-p50-ms better=lower
Unit theirs-records/s better=higher
BenchmarkCompare/count,_records/s,_bare_franz-go 1 6e+06 engine-records/s
BenchmarkCompare/count,_records/s,_bare_franz-go 1 1.2 ratio
BenchmarkCompare/count,_records/s,_bare_franz-go 1 5e+06 theirs-records/s
BenchmarkCompare/copy_at_10/s,_p50_ms,_Kafka_Streams 1 2 engine-p50-ms
BenchmarkCompare/copy_at_10/s,_p50_ms,_Kafka_Streams 1 0.5 ratio
BenchmarkCompare/copy_at_10/s,_p50_ms,_Kafka_Streams 1 4 theirs-p50-ms
`},
		{"paper", &paperResult{Cells: grid.Cells, EngineBeside: grid.EngineBeside()}, head + `
Unit consumers-images-per-second better=higher
BenchmarkPaper/read,_4_partitions,_1_consumer,_bare 1 10 consumers-images-per-second
BenchmarkPaper/read,_4_partitions,_1_consumer,_engine 1 6 consumers-images-per-second
BenchmarkPaper/read,_4_partitions,_1_consumer,_engine 1 8 consumers-images-per-second
BenchmarkPaper/read,_4_partitions,_1_consumer,_engine 1 0.7 ratio
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
