package training

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/hibana-engine/hibana/ml/serializers"
)

// Summary accumulates the mean and deviation of numbers. Its zero value is
// empty.
type Summary struct {
	sum, squares float64
	n            int
}

// Add takes a number in.
func (s *Summary) Add(v float64) { s.AddWeighted(v, 1) }

// AddWeighted takes a number in that stands for n equal ones.
func (s *Summary) AddWeighted(v float64, n int) {
	s.sum += v * float64(n)
	s.squares += v * v * float64(n)
	s.n += n
}

// N is how many numbers were added.
func (s *Summary) N() int { return s.n }

// Mean is the mean, NaN if nothing was added.
func (s *Summary) Mean() float64 { return s.sum / float64(s.n) }

// Deviation is the standard deviation over the numbers added.
func (s *Summary) Deviation() float64 {
	mean := s.Mean()
	return math.Sqrt(max(s.squares/float64(s.n)-mean*mean, 0))
}

// Serialize visits the sums, in Chainer's layout.
func (s *Summary) Serialize(to *serializers.Serializer) {
	to.Float("_x", &s.sum)
	to.Float("_x2", &s.squares)
	to.Int("_n", &s.n)
}

// Summaries accumulates numbers by name. Its zero value is empty.
type Summaries struct{ byName map[string]*Summary }

// Add takes all values of an observation in.
func (s *Summaries) Add(values map[string]float64) {
	for name, v := range values {
		s.of(name).Add(v)
	}
}

// AddWeighted takes one value in that stands for n equal ones.
func (s *Summaries) AddWeighted(name string, v float64, n int) { s.of(name).AddWeighted(v, n) }

func (s *Summaries) of(name string) *Summary {
	if s.byName == nil {
		s.byName = map[string]*Summary{}
	}
	if s.byName[name] == nil {
		s.byName[name] = &Summary{}
	}
	return s.byName[name]
}

// Means gives the mean of every name.
func (s *Summaries) Means() map[string]float64 {
	means := make(map[string]float64, len(s.byName))
	for name, sum := range s.byName {
		means[name] = sum.Mean()
	}
	return means
}

// Reset empties s.
func (s *Summaries) Reset() { s.byName = nil }

// Serialize visits all sums, in the layout of Chainer's DictSummary.
func (s *Summaries) Serialize(to *serializers.Serializer) {
	names := slices.Sorted(maps.Keys(s.byName))
	if to.Saving() {
		text, err := json.Marshal(names)
		if err != nil || names == nil {
			text = []byte("[]")
		}
		list := string(text)
		to.Text("_names", &list)
		for i, name := range names {
			s.byName[name].Serialize(to.Child("_summaries").Child(strconv.Itoa(i)))
		}
		return
	}
	a, ok := to.Array("_names")
	if !ok {
		return
	}
	list, err := a.Text()
	if err == nil {
		err = json.Unmarshal([]byte(list), &names)
	}
	if err != nil {
		to.Fail(fmt.Errorf("%s: %w", to.Path("_names"), err))
		return
	}
	loaded := make(map[string]*Summary, len(names))
	for i, name := range names {
		loaded[name] = &Summary{}
		loaded[name].Serialize(to.Child("_summaries").Child(strconv.Itoa(i)))
	}
	to.Then(func() error { s.byName = loaded; return nil })
}
