package engine

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
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
