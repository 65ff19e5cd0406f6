package metrics_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/engine/control"
	"github.com/hibana-engine/hibana/engine/internal/jobmetrics"
	"github.com/hibana-engine/hibana/engine/metrics"
	"github.com/hibana-engine/hibana/engine/worker"
)

var update = flag.Bool("update", false, "write docs/metrics.md anew")

// begin and end are the lines of docs/metrics.md between which the reference stands.
const (
	begin = "<!-- what follows is written by go test ./engine/metrics -update -->\n"
	end   = "<!-- end of what is written -->\n"
)

// docs/metrics.md lists all metrics.
func TestReference(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "metrics.md")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(b), begin)
	_, after, ended := strings.Cut(rest, end)
	if !ok || !ended {
		t.Fatalf("%s lacks the lines\n%s%s", path, begin, end)
	}
	want := before + begin + reference() + end + after
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(b) != want {
		t.Errorf("%s isn't what is declared; write it anew with go test ./engine/metrics -update", path)
	}
}

func reference() string {
	driver, executor := jobmetrics.Declared()
	var b strings.Builder
	for _, part := range []struct {
		of  string
		all []metrics.Declared
	}{
		{"The driver process of a job, or a program that runs by itself", driver},
		{"The executor processes of a job, or a program that runs by itself", executor},
		{"engine-driver", control.Metrics()},
		{"engine-executor", worker.Metrics()},
	} {
		fmt.Fprintf(&b, "\n### %s\n\n| name | type | labels | what it says |\n|---|---|---|---|\n", part.of)
		for _, d := range part.all {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", d.Name, d.Type, strings.Join(d.Labels, ", "), d.Help)
		}
	}
	b.WriteString("\n")
	return b.String()
}
