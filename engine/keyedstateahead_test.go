package engine

import (
	"errors"
	"fmt"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/keyed"
)

// Pairs come in their order, an error after those before it; who wants no more gets none.
func TestAhead(t *testing.T) {
	l, err := plainLayout[int, string]()
	if err != nil {
		t.Fatal(err)
	}
	torn := errors.New("torn")
	const group = keyed.MostTouched
	for _, n := range []int{0, 1, group - 1, group, group + 1, 3*group + 5} {
		for _, failed := range []error{nil, torn} {
			for _, wanted := range []int{1, group, group + 1, n + 1} {
				name := fmt.Sprintf("%d pairs, %v, %d wanted", n, failed, wanted)
				edit := keyed.New[int, string](l.keys, nil).Edit()
				got, ended := 0, error(nil)
				for pair, err := range ahead(edit, func(yield func(rdd.Pair[int, string], error) bool) {
					for k := range n {
						if !yield(rdd.KV(k, fmt.Sprint(k)), nil) {
							return
						}
					}
					if failed != nil {
						yield(rdd.Pair[int, string]{}, failed)
					}
				}) {
					if err != nil {
						ended = err
					} else if got++; pair.Key != got-1 || pair.Value != fmt.Sprint(pair.Key) {
						t.Errorf("%s: number %d is %v", name, got, pair)
					}
					edit.Put(pair.Key, pair.Value, 1)
					if got == wanted {
						break
					}
				}
				if got != min(n, wanted) {
					t.Errorf("%s: there were %d", name, got)
				}
				if wanted > n && ended != failed {
					t.Errorf("%s: it ended with %v", name, ended)
				}
			}
		}
	}
}
