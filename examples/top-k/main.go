// Top-k prints which words were searched for most in the last seconds, over and over.
//
//	go run ./examples/top-k
package main

import (
	"cmp"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/examples/internal/feed"
	"github.com/hibana-engine/hibana/rdd"
)

// options are the program's flags.
type options struct {
	topic    string
	k        int
	window   time.Duration
	slide    time.Duration
	searches int
	rate     float64
}

func main() {
	app := engine.NewApp("top-k")
	app.Example("top-k --k 3 --window 1m --slide 10s --searches 0")
	var opt options
	f := app.Flags()
	f.StringVar(&opt.topic, "topic", "searches", "topic of the searches, JSON")
	f.IntVar(&opt.k, "k", 5, "how many words are printed")
	f.DurationVar(&opt.window, "window", 4*time.Second, "searches of so long count, a multiple of the batch interval")
	f.DurationVar(&opt.slide, "slide", time.Second, "how often words are printed, a multiple of the batch interval")
	f.IntVar(&opt.searches, "searches", 20_000, "searches that are made up and written to the topic; 0 until stopped, below 0 none")
	f.Float64Var(&opt.rate, "rate", 2000, "of these, searches per second")
	app.Stream(500*time.Millisecond, func(ssc *engine.StreamingContext) error {
		made := feed.Feed{Topic: opt.topic, Partitions: 4, Rate: opt.rate, Count: opt.searches, Flag: "searches", Record: search}
		if err := made.Check(ssc); err != nil {
			return err
		}
		if opt.k < 1 {
			return fmt.Errorf("%w: --k %d is below 1", engine.ErrUsage, opt.k)
		}
		searches := kafka.Direct(ssc, kafka.Subscribe(opt.topic), kafka.JSONValue[Search])
		top(searches, opt.k, opt.window, opt.slide).Print(opt.k)
		made.Declare(ssc, opt.slide)
		return nil
	})
}

// Search is what somebody looked for.
type Search struct {
	Word string `json:"word"`
}

// Count is how often a word was searched for.
type Count struct {
	Word  string
	Times int64
}

// String returns the count for people.
func (c Count) String() string { return fmt.Sprintf("%6d  %s", c.Times, c.Word) }

// top yields, at each slide, the k words that were searched for most in a window, the most
// frequent first.
func top(searches *engine.DStream[Search], k int, window, slide time.Duration) *engine.DStream[Count] {
	words := engine.Map(searches, func(s Search) string { return s.Word })
	counts := engine.Map(engine.CountByValueAndWindow(words, window, slide), func(p rdd.Pair[string, int64]) Count {
		return Count{p.Key, p.Value}
	})
	most := func(_ rdd.Part, in iter.Seq[Count]) iter.Seq[Count] { return slices.Values(mostFrequent(in, k)) }
	// Each partition's k most frequent words go to one task, which has few to choose from.
	return engine.MapPartitions(engine.MapPartitions(counts, most).Repartition(1), most)
}

// mostFrequent returns the k most frequent words; of equally frequent ones the first in the
// alphabet.
func mostFrequent(counts iter.Seq[Count], k int) []Count {
	sorted := slices.SortedFunc(counts, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.Times, a.Times), cmp.Compare(a.Word, b.Word))
	})
	return sorted[:min(k, len(sorted))]
}

// search makes up a search: what is in fashion changes every few seconds.
func search(i int) (key string, value any) {
	words := []string{"rain", "snow", "trains", "tickets", "fireworks", "noodles", "temples", "hot springs", "cherry trees", "festivals"}
	random := rand.New(rand.NewPCG(2, uint64(i)))
	fashion := i / 5000
	word := words[(fashion+min(random.IntN(len(words)), random.IntN(len(words))))%len(words)]
	return word, Search{word}
}
