package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/examples/internal/cli"
	"github.com/hibana-engine/hibana/examples/internal/train"
)

func TestLearnsTheLanguage(t *testing.T) {
	var printed bytes.Buffer
	o := options{train.Options{Epochs: 5, Batch: 10, Dir: t.TempDir()}, 10, 32, 6000}
	perplexity, err := run(t.Context(), o, &printed)
	if err != nil {
		t.Fatal(err)
	}
	// 31 words at random have perplexity 31, by their frequency about 17.
	if perplexity > 6 {
		t.Errorf("perplexity %.1f\n%s", perplexity, printed.String())
	}
	if text := printed.String(); !strings.Contains(text, "the ") || strings.Count(text, "\n") != 8 {
		t.Errorf("it printed\n%s", text)
	}
}

func TestWindowsFollowEachOther(t *testing.T) {
	ids := make([]int32, 50)
	for i := range ids {
		ids[i] = int32(i)
	}
	d := windows(ids, 2, 4)
	if d.Len() != 6 {
		t.Fatalf("%d windows of 2 x 25 words", d.Len())
	}
	first, _ := d.At(0)
	second, err := d.At(1)
	if err != nil || !first.first || second.first || second.words[0][1] != first.words[4][1] || second.words[4][1] != 25+8 {
		t.Errorf("windows %v and %v, %v", first, second, err)
	}
}

func TestBadFlags(t *testing.T) {
	for _, o := range []options{
		{train.Options{Epochs: 1, Batch: 20}, 20, 8, 1600}, // no window to test on
		{train.Options{Epochs: 0, Batch: 20}, 20, 8, 2000},
	} {
		if _, err := run(t.Context(), o, &bytes.Buffer{}); !errors.Is(err, cli.ErrUsage) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
