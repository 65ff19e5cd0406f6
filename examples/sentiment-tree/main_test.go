package main

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/examples/internal/cli"
	"github.com/hibana-engine/hibana/examples/internal/train"
)

func TestLearnsOpinions(t *testing.T) {
	var printed bytes.Buffer
	accuracy, err := run(t.Context(), options{train.Options{Epochs: 6, Batch: 20, Dir: t.TempDir()}, 16, 500}, &printed)
	if err != nil {
		t.Fatal(err)
	}
	if accuracy < 0.7 { // three labels
		t.Errorf("%.0f %% of the trees right\n%s", 100*accuracy, printed.String())
	}
	if strings.Count(printed.String(), "\n") != 7 {
		t.Errorf("it printed\n%s", printed.String())
	}
}

// TestLabels recomputes each node's label from its children's.
func TestLabels(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var check func(n *node)
	check = func(n *node) {
		if n.left == nil {
			return
		}
		check(n.left)
		check(n.right)
		want := min(max(n.left.label+n.right.label-2, -1), 1) + 1
		if n.left.left == nil && n.left.word == not {
			want = 2 - n.right.label
		}
		if n.label != want {
			t.Errorf("labels %d and %d make %d, want %d", n.left.label, n.right.label, n.label, want)
		}
	}
	for size := range 30 {
		check(grow(r, size))
	}
}

func TestBadFlags(t *testing.T) {
	for _, o := range []options{
		{train.Options{Batch: 5}, 4, 20},
		{train.Options{Epochs: 1, Batch: 5}, 0, 20},
		{train.Options{Epochs: 1}, 4, 20},
		{train.Options{Epochs: 1, Batch: 5}, 4, 0},
		{train.Options{Epochs: 1, Batch: 5}, 4, -4},
	} {
		o.Dir = t.TempDir()
		if _, err := run(t.Context(), o, &bytes.Buffer{}); !errors.Is(err, cli.ErrUsage) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
