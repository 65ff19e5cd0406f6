package engine_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
)

// shown runs a stream of words, three batches a millisecond apart, and prints what op makes
// of each.
func shown[T any](op func(words *engine.DStream[string]) *engine.DStream[T]) {
	batches := [][]string{{"a", "b"}, {"a"}, {"c"}}
	err := engine.NewApp("example").Run(context.Background(), []string{"--log-level", "error"}, time.Millisecond, func(ssc *engine.StreamingContext) error {
		engine.ForEachBatch(op(engine.QueueStream(ssc, batches, 1)), func(b engine.Batch, rows []T) error {
			if b.Seq > uint64(len(batches)) {
				ssc.Stop()
				return nil
			}
			lines := make([]string, len(rows))
			for i, r := range rows {
				lines[i] = fmt.Sprint(r)
			}
			slices.Sort(lines)
			fmt.Println(b.Seq, strings.Join(lines, " "))
			return nil
		})
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
}

const long = time.Hour // longer than the example runs, whatever times are skipped

func ones(words *engine.DStream[string]) *engine.DStream[rdd.Pair[string, int]] {
	return engine.Map(words, func(w string) rdd.Pair[string, int] { return rdd.KV(w, 1) })
}

func ExampleDStream_Window() {
	shown(func(words *engine.DStream[string]) *engine.DStream[string] {
		return words.Window(long, time.Millisecond)
	})
	// Output:
	// 1 a b
	// 2 a a b
	// 3 a a b c
}

func ExampleDStream_Slice() {
	shown(func(words *engine.DStream[string]) *engine.DStream[string] {
		words.Context().Remember(long)
		return engine.Transform(words, func(b engine.Batch, r *rdd.RDD[string]) *rdd.RDD[string] {
			return r.Union(words.Slice(b, b.Time.Add(-long/2), b.Time.Add(-time.Nanosecond))...) // all but the batch itself
		})
	})
	// Output:
	// 1 a b
	// 2 a a b
	// 3 a a b c
}

func ExampleSaveAsTextFiles() {
	dir, err := os.MkdirTemp("", "words")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	shown(func(words *engine.DStream[string]) *engine.DStream[string] {
		engine.SaveAsTextFiles(words, dir+"/words", "txt") // a directory for each batch
		return words
	})
	saved, err := filepath.Glob(dir + "/words-*.txt/_SUCCESS")
	fmt.Println(len(saved) >= 3, err)
	// Output:
	// 1 a b
	// 2 a
	// 3 c
	// true <nil>
}

func ExampleCountByWindow() {
	shown(func(words *engine.DStream[string]) *engine.DStream[int64] {
		return engine.CountByWindow(words, long, time.Millisecond)
	})
	// Output:
	// 1 2
	// 2 3
	// 3 4
}

func ExampleReduceByWindow() {
	shown(func(words *engine.DStream[string]) *engine.DStream[string] {
		return engine.ReduceByWindow(words, func(a, b string) string { return max(a, b) }, long, time.Millisecond)
	})
	// Output:
	// 1 b
	// 2 b
	// 3 c
}

func ExampleReduceByKeyAndWindow() {
	shown(func(words *engine.DStream[string]) *engine.DStream[rdd.Pair[string, int]] {
		return engine.ReduceByKeyAndWindow(ones(words), func(a, b int) int { return a + b }, long, time.Millisecond)
	})
	// Output:
	// 1 {a 1} {b 1}
	// 2 {a 2} {b 1}
	// 3 {a 2} {b 1} {c 1}
}

func ExampleReduceByWindowInverse() {
	shown(func(words *engine.DStream[string]) *engine.DStream[int] {
		lengths := engine.Map(words, func(w string) int { return len(w) })
		plus, minus := func(a, b int) int { return a + b }, func(a, b int) int { return a - b }
		return engine.ReduceByWindowInverse(lengths, "letters", plus, minus, long, time.Millisecond)
	})
	// Output:
	// 1 2
	// 2 3
	// 3 4
}

func ExampleReduceByKeyAndWindowInverse() {
	plus, minus := func(a, b int) int { return a + b }, func(a, b int) int { return a - b }
	some := func(count rdd.Pair[string, int]) bool { return count.Value > 0 }
	shown(func(words *engine.DStream[string]) *engine.DStream[rdd.Pair[string, int]] {
		return engine.ReduceByKeyAndWindowInverse(ones(words), "counts", plus, minus, long, time.Millisecond, some)
	})
	// Output:
	// 1 {a 1} {b 1}
	// 2 {a 2} {b 1}
	// 3 {a 2} {b 1} {c 1}
}

func ExampleGroupByKeyAndWindow() {
	shown(func(words *engine.DStream[string]) *engine.DStream[rdd.Pair[string, []int]] {
		return engine.GroupByKeyAndWindow(ones(words), long, time.Millisecond)
	})
	// Output:
	// 1 {a [1]} {b [1]}
	// 2 {a [1 1]} {b [1]}
	// 3 {a [1 1]} {b [1]} {c [1]}
}

func ExampleCountByValueAndWindow() {
	shown(func(words *engine.DStream[string]) *engine.DStream[rdd.Pair[string, int64]] {
		return engine.CountByValueAndWindow(words, long, time.Millisecond)
	})
	// Output:
	// 1 {a 1} {b 1}
	// 2 {a 2} {b 1}
	// 3 {a 2} {b 1} {c 1}
}

func ExampleMapWithState() {
	shown(func(words *engine.DStream[string]) *engine.DStream[string] {
		return engine.MapWithState(ones(words), "counts", func(word string, one *int, s *engine.State[int]) (string, bool) {
			n, _ := s.Get()
			s.Update(n + *one)
			return fmt.Sprintf("%s for the %d. time", word, n+*one), true
		})
	})
	// Output:
	// 1 a for the 1. time b for the 1. time
	// 2 a for the 2. time
	// 3 c for the 1. time
}

func ExampleUpdateStateByKey() {
	shown(func(words *engine.DStream[string]) *engine.DStream[rdd.Pair[string, int]] {
		return engine.UpdateStateByKey(ones(words), "counts", func(_ string, ones []int, old rdd.Option[int]) rdd.Option[int] {
			return rdd.Some(old.Value + len(ones))
		})
	})
	// Output:
	// 1 {a 1} {b 1}
	// 2 {a 2} {b 1}
	// 3 {a 2} {b 1} {c 1}
}

func ExampleStateSnapshots() {
	shown(func(words *engine.DStream[string]) *engine.DStream[rdd.Pair[string, int]] {
		engine.MapWithState(ones(words), "counts", func(_ string, one *int, s *engine.State[int]) (int, bool) {
			n, _ := s.Get()
			s.Update(n + *one)
			return 0, false
		})
		return engine.StateSnapshots[string, int](words.Context(), "counts")
	})
	// Output:
	// 1 {a 1} {b 1}
	// 2 {a 2} {b 1}
	// 3 {a 2} {b 1} {c 1}
}
