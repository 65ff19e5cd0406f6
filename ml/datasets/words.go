package datasets

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// EndOfSentence is the word that Vocabulary.Read puts at the end of each line.
const EndOfSentence = "<eos>"

// maxLine bounds a line of text, in bytes.
const maxLine = 1 << 20

// Vocabulary numbers words in the order in which they first come. Its zero value
// is empty.
type Vocabulary struct {
	words []string
	ids   map[string]int32
}

// Len is the number of words.
func (v *Vocabulary) Len() int { return len(v.words) }

// ID gives the number of a word, and false for one that never came.
func (v *Vocabulary) ID(word string) (int32, bool) {
	id, ok := v.ids[word]
	return id, ok
}

// Word gives the word of a number, "" if there is none.
func (v *Vocabulary) Word(id int32) string {
	if id < 0 || int(id) >= len(v.words) {
		return ""
	}
	return v.words[id]
}

// Words lists all words by their numbers.
func (v *Vocabulary) Words() []string { return slices.Clone(v.words) }

// Read turns text into the numbers of its words, which white space divides, as
// the files of the Penn Treebank are kept (ptb.train.txt): each line ends with
// EndOfSentence. New words get the next numbers, so the text to train with is read
// first. A line has at most 1 MiB.
func (v *Vocabulary) Read(text io.Reader) ([]int32, error) {
	var ids []int32
	lines := bufio.NewScanner(text)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		for _, word := range append(strings.Fields(lines.Text()), EndOfSentence) {
			id, err := v.add(word)
			if err != nil {
				return nil, fmt.Errorf("reading words, line %d: %w", n, err)
			}
			ids = append(ids, id)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading words: %w", err)
	}
	return ids, nil
}

// add gives the number of a word, the next one if it is new.
func (v *Vocabulary) add(word string) (int32, error) {
	if id, ok := v.ids[word]; ok {
		return id, nil
	}
	if len(v.words) == math.MaxInt32 {
		return 0, fmt.Errorf("more than %d words", math.MaxInt32)
	}
	if v.ids == nil {
		v.ids = map[string]int32{}
	}
	id := int32(len(v.words))
	v.words, v.ids[word] = append(v.words, word), id
	return id, nil
}
