package kafka

import (
	"errors"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine"
)

// documented returns what the documentation of the package says of settings, by key.
func documented(t *testing.T) map[string]string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "doc.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	lines := make(map[string]string)
	for line := range strings.Lines(f.Doc.Text()) {
		if key, help, ok := strings.Cut(strings.TrimSpace(line), ": "); ok && strings.HasPrefix(key, "streaming.") {
			lines[key] = help
		}
	}
	return lines
}

// What the package's documentation lists, what its files name and what a program
// that uses Kafka declares are the same settings.
func TestSettingsAreDocumented(t *testing.T) {
	docs := documented(t)
	key := regexp.MustCompile(`"(streaming\.[A-Za-z.]+)"`)
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		text, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range key.FindAllStringSubmatch(string(text), -1) {
			if named++; docs[m[1]] == "" {
				t.Errorf("%s: the package's documentation lacks %s", f.Name(), m[1])
			}
		}
	}
	if named != len(docs) {
		t.Errorf("%d settings are documented and %d named in files", len(docs), named)
	}
	for key, help := range docs {
		err := build(t, key+"=x", func(ssc *engine.StreamingContext) { Brokers(ssc) })
		if says := "--conf " + key + "=x (" + help + "): "; !errors.Is(err, engine.ErrUsage) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v\ndoesn't say %s", err, says)
		}
	}
}

// build builds a program with settings.
func build(t *testing.T, pairs string, declare func(*engine.StreamingContext)) error {
	t.Helper()
	args := []string{"--brokers", "127.0.0.1:1", "--log-level", "error"}
	for pair := range strings.FieldsSeq(pairs) {
		args = append(args, "--conf", pair)
	}
	return engine.NewApp("test").Run(t.Context(), args, time.Second, func(ssc *engine.StreamingContext) error {
		declare(ssc)
		return errNotRun
	})
}

// errNotRun keeps programs of these tests from running.
var errNotRun = errors.New("it isn't to run")

// Streams and sinks read settings, and a wrong one is said once.
func TestWrongSettings(t *testing.T) {
	direct := func(ssc *engine.StreamingContext) {
		for range 2 {
			Direct(ssc, Subscribe("in"), StringValue).Print(1)
		}
	}
	for pair, says := range map[string]string{
		"streaming.kafka.maxRatePerPartition=-1":       "-1 is below 0",
		"streaming.kafka.maxRatePerPartition=2e9":      "2e+09 is too large, at most 1e+09 goes",
		"streaming.kafka.minRatePerPartition=1.5":      `"1.5" is not a whole number`,
		"streaming.kafka.minRatePerPartition=-1":       "-1 is below 0",
		"streaming.kafka.maxBatchBytes=0":              "0 is below 1024",
		"streaming.kafka.maxBatchBytes=1":              "1 is below 1024",
		"streaming.kafka.maxBatchBytes=99999999999999": "99999999999999 is too large, at most 1073741824 goes",
		"streaming.kafka.metadataMaxAge=5":             `"5" is not a duration, which has a unit`,
		"streaming.kafka.metadataMaxAge=0s":            "0s is below 100ms",
		"streaming.kafka.metadataMaxAge=24h":           "24h0m0s is too large, at most 1h0m0s goes",
	} {
		if err := build(t, pair, direct); !errors.Is(err, engine.ErrUsage) || strings.Count(err.Error(), pair) != 1 || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %s", pair, err, says)
		}
	}
	var got settings
	err := build(t, "streaming.kafka.maxRatePerPartition=0.5 streaming.kafka.minRatePerPartition=0 streaming.kafka.maxBatchBytes=5000 streaming.kafka.metadataMaxAge=1m", func(ssc *engine.StreamingContext) {
		got = readSettings(ssc)
	})
	if want := (settings{limits{maxRate: 0.5}, 5000, time.Minute}); got != want || errors.Is(err, engine.ErrUsage) {
		t.Errorf("read %+v, want %+v; %v", got, want, err)
	}
	if err := build(t, "", func(ssc *engine.StreamingContext) { got = readSettings(ssc) }); got != (settings{limits{minimum: 1}, 0, 5 * time.Second}) {
		t.Errorf("read %+v by default; %v", got, err)
	}
}
