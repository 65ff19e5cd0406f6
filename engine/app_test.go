package engine

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/launch"
	"github.com/hibana-engine/hibana/rdd"
)

func TestMaster(t *testing.T) {
	for master, want := range map[string]int{"local": 1, "local[3]": 3, "local[0]": 0, "local[-1]": 0, "local[x]": 0, "spark://a": 0, "": 0, "local[2": 0,
		"local-cluster[2,3]": 6, "local-cluster[2]": 0, "local-cluster[0,1]": 0, "local-cluster[1,0]": 0} {
		a := NewApp("test")
		a.opts.master = master
		m, err := a.newMaster(slog.New(slog.DiscardHandler))
		got := 0
		if err == nil {
			got, err = m.Parallelism(t.Context())
		}
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d, %v", master, got, err)
		}
	}
}

func TestIntervalHasAnUpperBound(t *testing.T) {
	if _, err := NewApp("test").newStream(25*time.Hour, nil); !errors.Is(err, ErrUsage) {
		t.Errorf("an interval of 25 h: %v", err)
	}
}

// Flags that would be ignored, or can't be followed, are wrong use.
func TestFlagsThatGoTogether(t *testing.T) {
	for says, args := range map[string][]string{
		"name the state with --state NAME": {"--checkpoint", "dir", "--state-key", "de"},
		"say what --state prints":          {"--checkpoint", "dir", "--state-job", "3"},
		"on loopback only":                 {"--metrics", "0.0.0.0:9464"},
	} {
		err := NewApp("test").Run(t.Context(), args, time.Second, func(*StreamingContext) error { return nil })
		if !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v: %v", args, err)
		}
	}
}

// A checkpoint is a directory; a file in its place is wrong use, whatever is wanted of it.
func TestCheckpointIsADirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, more := range [][]string{nil, {"--plan"}, {"--offsets"}, {"--state", "s"}} {
		err := NewApp("test").Run(t.Context(), append(more, "--checkpoint", file), time.Second, func(*StreamingContext) error { return nil })
		if !errors.Is(err, ErrUsage) || !strings.HasSuffix(err.Error(), file+": it is a file; name a directory") {
			t.Errorf("%v: %v", more, err)
		}
	}
}

// A batch program's help has no flags that it refuses; a stream's has them.
func TestHelpListsWhatIsTaken(t *testing.T) {
	for _, batch := range []bool{false, true} {
		a := NewApp("test")
		a.batch = batch
		a.Flags().String("own", "", "a flag of the program's own")
		var help strings.Builder
		a.usage(&help)
		for _, name := range streamFlags() {
			if listed := strings.Contains(help.String(), "\n  --"+name+" ") || strings.Contains(help.String(), "\n  --"+name+"\n"); listed == batch {
				t.Errorf("batch program: %t, but --%s is listed: %t", batch, name, listed)
			}
		}
		for _, says := range []string{"\n  --own ", "\n  --brokers addresses\n", `(default "local[*]")`} {
			if !strings.Contains(help.String(), says) {
				t.Errorf("batch program: %t: no %q in\n%s", batch, says, &help)
			}
		}
	}
}

// --conf help lists what the program's connectors declare, and runs nothing else of it.
func TestSettingsAreListed(t *testing.T) {
	speed := Setting[int64]{Key: "tape.speed", Help: "inches/s (7)", Default: 7, Parse: WholeNumber(1, 30)}
	late := Setting[int64]{Key: "tape.late", Help: "of what is made later (1)", Parse: WholeNumber(0, 1)}
	effect := func(context.Context) error { t.Error("an effect ran"); return nil }
	stream := func(fails error) func() (*launch.Job, error) {
		return func() (*launch.Job, error) {
			return NewApp("test").newStream(time.Second, func(ssc *StreamingContext) error {
				ssc.OnDriver(effect)
				ssc.OnStop(effect)
				if fails == nil {
					Value(ssc, "now", func(ctx context.Context) (int, error) { return 0, effect(ctx) })
				}
				speed.Read(ssc)
				return fails
			})
		}
	}
	batch := func() (*launch.Job, error) {
		return NewApp("test").newBatch(func(sc *rdd.Context) error {
			speed.Read(EnvironmentOf(sc))
			sc.OnDriver(func() error { return effect(t.Context()) })
			_, err := rdd.Count(rdd.Parallelize(sc, []int{1}))
			late.Read(EnvironmentOf(sc))
			return err
		})
	}
	const declared = `(?s)^Settings .*\n  task\.maxFailures +failures .*\nSettings of the program's connectors:\n  tape\.speed +inches/s \(7\)\n`
	for name, c := range map[string]struct {
		job  func() (*launch.Job, error)
		want string
	}{
		"stream":                 {stream(nil), declared + `$`},
		"stream that isn't well": {stream(errors.New("no reels")), declared + `There may be more: the program can't be built:\n  no reels\n$`},
		"batch program":          {batch, declared + `Sources .* may have more\.\n$`},
	} {
		j, err := c.job()
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		j.PrintSettings(t.Context(), &out)
		if !regexp.MustCompile(c.want).MatchString(out.String()) {
			t.Errorf("%s: it says\n%s", name, &out)
		}
	}
}
