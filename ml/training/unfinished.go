package training

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/hibana-engine/hibana/ml/serializers"
)

// unfinished is what remains of an iteration whose step is done: extensions that
// were still to run when the training was stopped.
type unfinished struct {
	Due         string             // the one that was interrupted; its trigger has fired
	Left        []string           // those behind it, whose triggers weren't asked
	Observation map[string]float64 // of the iteration so far
}

// from is what remains when the extension of the given name was interrupted.
func (u *unfinished) from(name string, observation map[string]float64) *unfinished {
	left := u.Left
	if i := slices.Index(left, name); i >= 0 {
		left = left[i+1:]
	}
	finite := maps.Clone(observation) // JSON has no other numbers
	maps.DeleteFunc(finite, func(_ string, v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
	return &unfinished{name, left, finite}
}

func names(entries []*entry) []string {
	list := make([]string, len(entries))
	for i, e := range entries {
		list[i] = e.name
	}
	return list
}

// unfinishedKey is the snapshot's entry; Chainer leaves it out when it loads.
const unfinishedKey = "_unfinished_iteration"

// serializeUnfinished visits what remains of an iteration, if anything does.
func (t *Trainer) serializeUnfinished(s *serializers.Serializer) {
	if s.Saving() {
		if t.unfinished == nil {
			return
		}
		text, err := json.Marshal(t.unfinished)
		if err != nil {
			s.Fail(fmt.Errorf("%s: %w", s.Path(unfinishedKey), err))
			return
		}
		list := string(text)
		s.Text(unfinishedKey, &list)
		return
	}
	var loaded *unfinished
	if s.Has(unfinishedKey) {
		a, ok := s.Array(unfinishedKey)
		if !ok {
			return
		}
		text, err := a.Text()
		if err == nil {
			err = json.Unmarshal([]byte(text), &loaded)
		}
		if err != nil {
			s.Fail(fmt.Errorf("%s: %w", s.Path(unfinishedKey), err))
			return
		}
	}
	s.Then(func() error {
		if t.unfinished = loaded; loaded != nil {
			t.observation = map[string]float64{}
			maps.Copy(t.observation, loaded.Observation)
		}
		return nil
	})
}
