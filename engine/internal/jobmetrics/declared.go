package jobmetrics

import "github.com/hibana-engine/hibana/engine/metrics"

// Declared lists the metrics of a job's driver process and of its executor processes,
// beside those of every process.
func Declared() (driver, executor []metrics.Declared) {
	d, x := metrics.NewSet(), metrics.NewSet()
	NewDriver(d)
	NewExecutor(x)
	return d.Declared(), x.Declared()
}
