package lineage

import (
	"runtime"
	"testing"
)

// Whose a frame is depends on what is the user's, not on which packages the engine
// has: a room that is added is the engine's.
func TestEngineFrame(t *testing.T) {
	for file, want := range map[string]bool{
		moduleRoot + "rdd/map.go":             true,
		moduleRoot + "room/that/is/new.go":    true,
		moduleRoot + "hibana.go":              true,
		moduleRoot + "rdd/map_test.go":        false,
		moduleRoot + "examples/count/main.go": false,
		moduleRoot + "cmd/bench/main.go":      false,
		"example.com/count/main.go":           false,
		"example.com/engine/rdd/map.go":       false,
		standardRoot + "slices/sort.go":       true,
	} {
		if got := engineFrame(runtime.Frame{File: file, Function: "count.build"}); got != want {
			t.Errorf("%s is of the engine: %v", file, got)
		}
	}
}
