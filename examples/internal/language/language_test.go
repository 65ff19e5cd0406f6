package language

import "testing"

func TestTextIsWithinVocabulary(t *testing.T) {
	words := Vocabulary()
	for i, id := range Text(1000, 3) {
		if int(id) >= len(words) {
			t.Fatalf("word %d has id %d of %d", i, id, len(words))
		}
	}
	for i := 1; i < len(words); i++ {
		if words[i] == words[i-1] {
			t.Errorf("%q is in the vocabulary twice", words[i])
		}
	}
}
