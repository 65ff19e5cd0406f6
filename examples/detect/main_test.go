package main

import (
	"bytes"
	"errors"
	"fmt"
	"image/png"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/ml/vision"
)

// Every object of the scenes is found where it is, and nothing else.
func TestObjects(t *testing.T) {
	const frames = 8
	var batch []Frame
	var drawn [frames][]vision.Detection
	for i := range frames {
		jpeg, objects := scene(i)
		drawn[i] = objects
		f, err := newFrame(fmt.Sprint(i), jpeg)
		if err != nil {
			t.Fatal(err)
		}
		batch = append(batch, f)
	}
	got, err := enginetest.Run(t, [][]Frame{batch}, 1, objects)
	if err != nil || len(got) != 1 || len(got[0]) != frames {
		t.Fatalf("%d batches, %v", len(got), err)
	}
	all := 0
	for i, f := range got[0] {
		want := drawn[i]
		all += len(want)
		if len(f.Objects) != len(want) {
			t.Errorf("frame %s, want %v", f, want)
		}
		for _, w := range want {
			found := false
			for _, o := range f.Objects {
				found = found || o.Class == w.Class && o.Box.IoU(w.Box) > 0.75
			}
			if !found {
				t.Errorf("frame %s: there is no %v", f, w)
			}
		}
	}
	if all < 2*frames {
		t.Errorf("only %d objects", all)
	}
	s := strip{path: filepath.Join(t.TempDir(), "strip.png"), columns: 2, most: 4, log: slog.New(slog.DiscardHandler)}
	for range 2 { // the batch comes again
		if err := s.add(engine.Batch{}, got[0][:3]); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(s.path); err == nil {
		t.Error("the strip is written before it is full")
	}
	if err := s.add(engine.Batch{}, got[0]); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	if config, err := png.DecodeConfig(bytes.NewReader(written)); err != nil || config.Width < 2*sceneWidth || config.Height < 2*sceneHeight {
		t.Errorf("the strip: %+v, %v", config, err)
	}
}

// A record that isn't a whole image is a bad one.
func TestBadFrames(t *testing.T) {
	jpeg, _ := scene(0)
	for _, value := range [][]byte{nil, []byte("hello"), jpeg[:len(jpeg)/2]} {
		if _, err := frameOf(&kafka.Record{Value: value}); !errors.Is(err, vision.ErrImage) {
			t.Errorf("%d bytes: %v", len(value), err)
		}
	}
}
