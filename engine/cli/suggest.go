package cli

import (
	"cmp"
	"slices"
	"strings"
)

// Nearest returns which of the known words somebody may have meant who wrote another one,
// the first of several, "" if none is near.
func Nearest(word string, known []string) string {
	if len(known) == 0 {
		return ""
	}
	nearest := slices.MinFunc(known, func(a, b string) int { return cmp.Compare(Slip(word, a), Slip(word, b)) })
	if 3*Slip(word, nearest) > max(len(word), len(nearest)) {
		return ""
	}
	return nearest
}

// DidYouMean returns what goes behind a word that isn't known: a question for the one of the
// known words that may be meant, "" if none is near.
func DidYouMean(word string, known []string) string {
	if nearest := Nearest(word, known); nearest != "" {
		return " (did you mean " + nearest + "?)"
	}
	return ""
}

// Bounds of slips.
const (
	leastBeginning = 2 // letters that are enough to tell how a word begins
	goesOn         = 2 // how large the slip is, at most, to write on behind a word
)

// Slip returns how large the slip is that makes a word of a known one. None is smaller
// than to leave off the end.
func Slip(word, known string) int {
	if min(len(word), len(known)) >= leastBeginning {
		switch {
		case strings.HasPrefix(known, word):
			return 0
		case strings.HasPrefix(word, known):
			return min(goesOn, len(word)-len(known))
		}
	}
	return distance(word, known)
}

// distance returns how many letters must be written, removed, replaced or swapped with the
// next one to make one word the other (the optimal string alignment variant of the distance of Damerau and
// Levenshtein); case doesn't count.
func distance(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	// From the letters of a so far to those of b up to each: two letters back, one, and now.
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before, last, row = last, row, before
		row[0] = i + 1
		for j := range len(b) {
			replaced := last[j]
			if a[i] != b[j] {
				replaced++
			}
			row[j+1] = min(replaced, row[j]+1, last[j+1]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(b)]
}
