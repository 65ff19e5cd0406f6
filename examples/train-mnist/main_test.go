package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/examples/internal/mnistnet"
	"github.com/hibana-engine/hibana/ml/serializers"
	"github.com/hibana-engine/hibana/ml/training"
)

func options1(t *testing.T, args ...string) options {
	t.Helper()
	opt, err := parse(append([]string{"--limit", "200", "--epochs", "2", "--batch", "20", "--dir", t.TempDir()}, args...), &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	return opt
}

func TestTrainsBothNetworks(t *testing.T) {
	for _, model := range mnistnet.Names() {
		t.Run(model, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "w.npz")
			opt := options1(t, "--model", model, "--dropout", "0.3", "--augment", "--out", out)
			var printed bytes.Buffer
			accuracy, err := run(t.Context(), opt, &printed)
			if err != nil {
				t.Fatal(err)
			}
			if accuracy < 0.3 { // chance is 0.1
				t.Errorf("%.1f %% right after two passes over 200 images", 100*accuracy)
			}
			if text := printed.String(); strings.Count(text, "\n") != 5 || !strings.Contains(text, "weights written") {
				t.Errorf("it printed\n%s", text)
			}
			net, err := mnistnet.New(model, 0)
			if err != nil {
				t.Fatal(err)
			}
			if err := serializers.LoadNPZ(out, net); err != nil {
				t.Error(err)
			}
			for _, name := range []string{"log", "loss.png", "snapshot_iter_20"} {
				if _, err := os.Stat(filepath.Join(opt.Dir, name)); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestRepeatable(t *testing.T) {
	var files [2][]byte
	for i := range files {
		out := filepath.Join(t.TempDir(), "w.npz")
		opt := options1(t, "--limit", "100", "--epochs", "1", "--dropout", "0.5", "--seed", "7", "--out", out)
		if _, err := run(t.Context(), opt, &bytes.Buffer{}); err != nil {
			t.Fatal(err)
		}
		var err error
		if files[i], err = os.ReadFile(out); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("two runs with one seed wrote different weights")
	}
}

func TestStopsAndResumes(t *testing.T) {
	opt := options1(t, "--limit", "100")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := run(ctx, opt, &bytes.Buffer{}); !errors.Is(err, training.ErrStopped) {
		t.Fatalf("got %v, want ErrStopped", err)
	}
	opt.resume = true
	if _, err := run(t.Context(), opt, &bytes.Buffer{}); err != nil {
		t.Error(err)
	}
}

// Going on gives the weights that come of one go, the random changes of the
// images included.
func TestResumesAugmentation(t *testing.T) {
	train := func(dir, epochs string, more ...string) []byte {
		out := filepath.Join(t.TempDir(), "w.npz")
		args := append([]string{"--limit", "60", "--augment", "--seed", "3", "--dir", dir, "--epochs", epochs, "--out", out}, more...)
		if _, err := run(t.Context(), options1(t, args...), &bytes.Buffer{}); err != nil {
			t.Fatal(err)
		}
		file, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		return file
	}
	want, dir := train(t.TempDir(), "3"), t.TempDir()
	train(dir, "1")
	if got := train(dir, "3", "--resume"); !bytes.Equal(got, want) {
		t.Error("the weights differ from those of one go")
	}
}

func TestBadFlags(t *testing.T) {
	for _, args := range [][]string{{"--epochs", "0"}, {"--batch", "-1"}, {"--limit", "-5"}, {"--alpha", "0"}, {"--decay", "-1"}, {"--dropout", "1"}, {"--dropout", "NaN"}, {"--colour"}, {"bogus", "--epochs", "1"}} {
		if _, err := parse(args, &bytes.Buffer{}); err == nil {
			t.Errorf("%v is accepted", args)
		}
	}
	if _, err := run(t.Context(), options1(t, "--model", "rnn"), &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), `"rnn"`) {
		t.Errorf("an unknown model: %v", err)
	}
}
