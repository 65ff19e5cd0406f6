package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// stateless is the query that Spark runs beside the engine; its latest release refuses the others.
const stateless = "stateless"

// realtimeResult is what realtime measured.
type realtimeResult struct {
	Workload   string                `json:"workload"`
	Rate       int                   `json:"rate"`
	Partitions int                   `json:"partitions"`
	IntervalMS float64               `json:"interval_ms"` // 0: as soon as possible
	Rounds     int                   `json:"rounds"`      // wanted
	RunSeconds float64               `json:"run_seconds"` // that count, in each run
	Checkpoint bool                  `json:"checkpoint"`  // the engine's batch log and checkpoints are on disk
	Master     string                `json:"master"`
	Brokers    string                `json:"brokers"`
	Queries    []realtimeQueryResult `json:"queries"`
	NoSpark    string                `json:"no_spark,omitempty"` // why it isn't there
	Partial    string                `json:"partial,omitempty"`  // why there is less than was wanted
}

// realtimeQueryResult is what was measured of a query, and what Spark publishes.
type realtimeQueryResult struct {
	Name           string  `json:"name"`
	P50MS          spread  `json:"p50_ms"`
	P99MS          spread  `json:"p99_ms"`
	CPUSeconds     spread  `json:"cpu_seconds"` // of the whole process, start included
	PeakRSSMiB     int     `json:"peak_rss_mib"`
	SparkP50MS     spread  `json:"spark_p50_ms,omitzero"` // measured here
	SparkP99MS     spread  `json:"spark_p99_ms,omitzero"`
	PublishedP50MS float64 `json:"spark_published_p50_ms"` // on its own machine
	PublishedP99MS float64 `json:"spark_published_p99_ms"`
}

func newRealtimeResult(r *realtime, kind, noSpark string) *realtimeResult {
	result := &realtimeResult{
		Rate: r.rate, Partitions: r.partitions, IntervalMS: ms(r.interval), Rounds: r.rounds, RunSeconds: r.last.Seconds(),
		Checkpoint: r.durable, Master: "local[2]", Brokers: kind, NoSpark: noSpark,
	}
	for _, q := range r.queries {
		result.Queries = append(result.Queries, realtimeQueryResult{Name: q.name, PublishedP50MS: q.sparkP50, PublishedP99MS: q.sparkP99})
	}
	return result
}

// add takes in a run on the engine.
func (r *realtimeQueryResult) add(g lag) {
	r.P50MS.add(g.p50)
	r.P99MS.add(g.p99)
	r.CPUSeconds.add(g.cpu)
	r.PeakRSSMiB = max(r.PeakRSSMiB, g.rss)
}

// addSpark takes in a run on Spark.
func (r *realtimeQueryResult) addSpark(g lag) {
	r.SparkP50MS.add(g.p50)
	r.SparkP99MS.add(g.p99)
}

// finish returns what there is when the runs ended with err.
func (r *realtimeResult) finish(err error) (report, error) {
	return partial(r, len(r.Queries[0].P50MS.Rounds) > 0, &r.Partial, err)
}

func (r *realtimeResult) named(workload string) { r.Workload = workload }

// print writes the result for people.
func (r *realtimeResult) print(w io.Writer) {
	log := "in memory"
	if r.Checkpoint {
		log = "and checkpoints on disk"
	}
	fmt.Fprintf(w, "%s at %d records/s over %d partitions, %s, on %s, batch log %s, %s\n", r.Workload, r.Rate, r.Partitions, cadenceText(r.IntervalMS), r.Master, log, r.Brokers)
	if r.Partial != "" {
		fmt.Fprintln(w, "  PARTIAL, less than was wanted:", r.Partial)
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "  ms\tp50\tp99\tSpark here p50\tp99\tSpark published p50\tp99")
	for _, q := range r.Queries {
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t%.0f\t%.0f\n", q.Name, q.P50MS, q.P99MS, q.SparkP50MS, q.SparkP99MS, q.PublishedP50MS, q.PublishedP99MS)
	}
	_ = t.Flush() // of what goes wrong with w nobody else tells either
	fmt.Fprintln(w, "  Medians of the rounds, with the least and the most. Ours end when a consumer has the record.")
	fmt.Fprintln(w, "  Published: Spark's real-time mode on Spark's machine (Xeon 6975P-C, 3 executors of 5 cores), the")
	fmt.Fprintln(w, "  RTMKafka*Benchmark-results.txt of its repository, which end when the record is handed to its producer:")
	fmt.Fprintln(w, "  figures of another machine, not of a run beside ours.")
	if r.NoSpark != "" {
		fmt.Fprintln(w, "  Spark isn't measured here:", r.NoSpark)
	}
}
