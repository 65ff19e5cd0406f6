// Package metrics serves what a process measures, and whether it is well, over HTTP:
// /metrics in Prometheus's text format, /healthz and /readyz for whoever watches
// processes, and /targets for Prometheus's HTTP service discovery, which names the
// processes of jobs that a daemon has started.
//
// A [Set] declares a process's metrics by name, type and help; docs/metrics.md lists all
// that there are and a test keeps it true. Names and units are the ecosystem's: base
// units (seconds, bytes), _total for what only grows. The text format is described at
// prometheus.io/docs/instrumenting/exposition_formats, service discovery at
// prometheus.io/docs/prometheus/latest/http_sd.
package metrics
