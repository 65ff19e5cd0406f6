// Package language generates text of a small language: sentences in which the verb
// must agree with a subject that stands some words before it.
package language

import (
	"math/rand/v2"
	"slices"
)

// The kinds of words.
var (
	singular   = []string{"camera", "sensor", "driver", "node"}
	plural     = []string{"cameras", "sensors", "drivers", "nodes"}
	adjectives = []string{"old", "new", "fast", "quiet"}
	places     = []string{"street", "room", "rack", "north"}
	verbs      = [2][]string{{"sees", "sends", "drops"}, {"see", "send", "drop"}}
	objects    = []string{"images", "digits", "batches", "offsets", "records"}
)

// Kinds lists the words that stand in the same places, kind by kind.
func Kinds() [][]string {
	return [][]string{singular, plural, adjectives, places, verbs[0], verbs[1], objects}
}

// Vocabulary lists all words; a word's id is its index.
func Vocabulary() []string {
	words := append(slices.Concat(Kinds()...), "the", "in", "and", ".")
	slices.Sort(words)
	return words
}

// sentence makes one sentence, such as "the old cameras in the street see
// images ."
func sentence(r *rand.Rand) []string {
	pick := func(words []string) string { return words[r.IntN(len(words))] }
	number := r.IntN(2)
	s := []string{"the"}
	for r.IntN(2) == 0 {
		s = append(s, pick(adjectives))
	}
	s = append(s, pick([][]string{singular, plural}[number]))
	if r.IntN(2) == 0 {
		s = append(s, "in", "the", pick(places))
	}
	s = append(s, pick(verbs[number]), pick(objects))
	if r.IntN(3) == 0 {
		s = append(s, "and", pick(objects))
	}
	return append(s, ".")
}

// Text makes at least n words of text as ids, which depend on the seed alone.
func Text(n int, seed uint64) []int32 {
	r := rand.New(rand.NewPCG(seed, 1))
	words := Vocabulary()
	var ids []int32
	for len(ids) < n {
		for _, w := range sentence(r) {
			id, _ := slices.BinarySearch(words, w)
			ids = append(ids, int32(id))
		}
	}
	return ids
}
