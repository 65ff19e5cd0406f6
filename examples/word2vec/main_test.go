package main

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/examples/internal/cli"
	"github.com/hibana-engine/hibana/examples/internal/train"
	"github.com/hibana-engine/hibana/ml/datasets"
)

func TestLearnsKindsOfWords(t *testing.T) {
	for _, out := range []string{"ns", "hsm"} {
		t.Run(out, func(t *testing.T) {
			var printed bytes.Buffer
			o := options{train.Options{Epochs: 3, Batch: 100, Dir: t.TempDir()}, 2, 12, 4000, out}
			share, err := run(t.Context(), o, &printed)
			if err != nil {
				t.Fatal(err)
			}
			// A word of 27 at random is of the same kind for one in seven.
			if share < 0.8 {
				t.Errorf("%.2f of the words are near one of their kind\n%s", share, printed.String())
			}
			if text := printed.String(); strings.Count(text, "\n") != 1+3+7+1 {
				t.Errorf("it printed\n%s", text)
			}
		})
	}
}

func TestPairs(t *testing.T) {
	got, err := datasets.Collect(pairs([]int32{7, 8, 9, 10}, 1))
	if want := (datasets.Slice[pair]{{8, 7}, {8, 9}, {9, 8}, {9, 10}}); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
}

func TestBadFlags(t *testing.T) {
	for _, args := range [][]string{{"--units", "0"}, {"--words", "4"}, {"--out", "softmax"}, {"words"}} {
		if err := program(t.Context(), args, &bytes.Buffer{}); !errors.Is(err, cli.ErrUsage) {
			t.Errorf("%v: %v", args, err)
		}
	}
}
