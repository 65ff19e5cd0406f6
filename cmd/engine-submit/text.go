package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hibana-engine/hibana/engine/wire"
)

// firstLine returns a text's first line, without the announcement of those that
// follow.
func firstLine(s string) string {
	first, _, more := strings.Cut(strings.TrimSpace(s), "\n")
	if i := strings.LastIndex(first, ";"); more && i > 0 && strings.HasSuffix(first, ":") {
		first = first[:i]
	}
	return strings.TrimSuffix(first, ":")
}

// clip returns a text of so many characters at most.
func clip(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// orDash returns a text, or a dash for none.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// clock returns a time of a job, local.
func clock(ns int64) string {
	if ns == 0 {
		return "-"
	}
	return time.Unix(0, ns).Format("2006-01-02 15:04:05")
}

// age returns how long a job runs, or ran.
func age(st *wire.JobStatus, now time.Time) string {
	switch {
	case st.Submitted == 0:
		return "-"
	case st.Ended != 0:
		return span(time.Duration(st.Ended - st.Submitted))
	}
	return span(max(0, now.Sub(time.Unix(0, st.Submitted)))) // clocks differ
}

// span returns a duration with as much of it as people want to know.
func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
}

// millis returns a number of milliseconds.
func millis(ms float64) string {
	if ms < 10 {
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.0f ms", ms)
}

// thousands returns a number with commas.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	first := 0
	if n < 0 {
		first = 1
	}
	for i := len(s) - 3; i > first; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// size returns a number of bytes.
func size(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}
