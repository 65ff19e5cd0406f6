package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"time"
)

// summary is the outcome of a run, judged by what is in the digits topic.
type summary struct {
	Images          int64   `json:"images"`
	Correct         int64   `json:"correct"`
	Accuracy        float64 `json:"accuracy"`
	Batches         int     `json:"batches"`    // of this process, like the next four: a restart begins anew
	Recognised      int64   `json:"recognised"` // images in them
	ImagesPerSecond float64 `json:"images_per_second"`
	LatencyP50      float64 `json:"latency_p50_ms"` // from the camera to a reader of the digits
	LatencyP99      float64 `json:"latency_p99_ms"`
	Lost            int64   `json:"lost"`
	Duplicates      int64   `json:"duplicates"`

	earlier   int64 // images that were taken before a restart
	unread    int64 // images that were in the topic when the stream was stopped
	confusion [10][10]int64
}

// writeJSON writes the summary as one line.
func (s *summary) writeJSON(w io.Writer) error { return json.NewEncoder(w).Encode(s) }

// write writes the summary for people.
func (s *summary) write(w io.Writer) error {
	out := []byte("\n")
	if s.earlier > 0 {
		out = fmt.Appendf(out, "%d images, %d of them taken before the program was started again\n", s.Images, s.earlier)
	}
	out = fmt.Appendf(out, "%d images in %d batches, %.0f images/s\n", s.Recognised, s.Batches, s.ImagesPerSecond)
	out = fmt.Appendf(out, "%d right: accuracy %.2f %%\n", s.Correct, 100*s.Accuracy)
	if s.LatencyP99 > 0 {
		out = fmt.Appendf(out, "latency from camera to digit: p50 %.0f ms, p99 %.0f ms\n", s.LatencyP50, s.LatencyP99)
	}
	out = fmt.Appendf(out, "lost %d, doubled %d", s.Lost, s.Duplicates)
	if s.unread > 0 {
		out = fmt.Appendf(out, ", %d not read when the stream was stopped", s.unread)
	}
	out = append(out, "\n\n"...)
	out = append(out, "shown \\ recognised as\n    "...)
	for d := range 10 {
		out = fmt.Appendf(out, "%7d", d)
	}
	out = append(out, '\n')
	for label, row := range s.confusion {
		out = fmt.Appendf(out, "%4d", label)
		for _, n := range row {
			if n == 0 {
				out = append(out, "      ·"...)
			} else {
				out = fmt.Appendf(out, "%7d", n)
			}
		}
		out = append(out, '\n')
	}
	_, err := w.Write(out)
	return err
}

// histogram counts durations in buckets that grow by a twentieth of a doubling,
// so that a quantile is right within 4 %. The zero value is empty.
type histogram struct {
	buckets [histogramBuckets]int64
	n       int64
}

const (
	histogramBuckets  = 800
	bucketsPerDouble  = 20
	histogramSmallest = 10 * time.Microsecond
)

func (h *histogram) add(d time.Duration) {
	i := 0
	if d > histogramSmallest {
		i = int(bucketsPerDouble * math.Log2(float64(d)/float64(histogramSmallest)))
	}
	h.buckets[min(i, histogramBuckets-1)]++
	h.n++
}

// quantile returns a quantile in milliseconds, 0 of an empty histogram.
func (h *histogram) quantile(q float64) float64 {
	rank := int64(q * float64(h.n))
	for i, n := range h.buckets {
		if rank -= n; rank < 0 {
			return float64(histogramSmallest) / 1e6 * math.Exp2((float64(i)+0.5)/bucketsPerDouble)
		}
	}
	return 0
}
