package rdd_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/rddtest"
	"github.com/hibana-engine/hibana/rdd/task"
)

// fickle is a text that isn't always taken.
type fickle struct{}

var errFickle = errors.New("not now")

func (*fickle) UnmarshalText([]byte) error { return errFickle }

// A line is a bad one for ever if it can't be read; what a method of the element's type
// doesn't take now it may take at the next attempt.
func TestLastingBadLines(t *testing.T) {
	type row struct {
		N int
		M *fickle
	}
	for text, permanent := range map[string]bool{
		`{"N":"x"}`: true, `{"N":`: true, `{"N":1,"M":"x"}`: false,
		"N,M\nx,": true, "N,M\n1": true, "N,M\n\"1": true, "N,M\n1,x": false,
	} {
		path := filepath.Join(t.TempDir(), "lines")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		read := []*rdd.RDD[row]{rdd.JSONLines[row](rddtest.NewContext(1), path)}
		if !strings.HasPrefix(text, "{") {
			read = []*rdd.RDD[row]{rdd.CSV[row](rddtest.NewContext(1), path), rdd.CSV[row](rddtest.NewContext(1), path, rdd.MultiLine())}
		}
		for _, r := range read {
			if _, err := rdd.Count(r); err == nil || task.IsPermanent(err) != permanent || errors.Is(err, errFickle) == permanent {
				t.Errorf("%s: permanent is %t: %v", text, task.IsPermanent(err), err)
			}
		}
	}
}
