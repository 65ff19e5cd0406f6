package enginetest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/rdd"
)

// wordCounts is the program that the examples test.
func wordCounts(lines *engine.DStream[string]) *engine.DStream[rdd.Pair[string, int64]] {
	return engine.CountByValue(engine.FlatMap(lines, strings.Fields))
}

// testCounts is what stands in a program's own test file as TestCounts.
func testCounts(t *testing.T) {
	input := [][]string{{"a b", "a"}, {"b"}}
	expected := [][]rdd.Pair[string, int64]{{rdd.KV("a", int64(2)), rdd.KV("b", int64(1))}, {rdd.KV("b", int64(1))}}
	for seed := range uint64(50) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			enginetest.Operation(t, input, wordCounts, expected, enginetest.Disturb(seed))
		})
	}
}

// The counts come out right whatever the program loses. A seed for which they don't is in the
// name of the subtest that fails, and brings the same losses about again.
func ExampleDisturb() {
	var t *testing.T // a test is given it
	t.Run("counts", testCounts)
}

func TestExample(t *testing.T) { testCounts(t) }
