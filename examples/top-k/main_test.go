package main

import (
	"strings"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
)

// searchesFor returns searches for words, a string of them for each batch.
func searchesFor(batches ...string) [][]Search {
	searches := make([][]Search, len(batches))
	for i, words := range batches {
		for _, w := range strings.Fields(words) {
			searches[i] = append(searches[i], Search{w})
		}
	}
	return searches
}

// Of a window of two batches the two most frequent words come out, of equally frequent ones
// the first in the alphabet.
func TestTop(t *testing.T) {
	searches := searchesFor("rain snow rain", "snow tickets snow", "noodles tickets", "", "rain")
	want := [][]Count{
		{{"rain", 2}, {"snow", 1}},
		{{"snow", 3}, {"rain", 2}},
		{{"snow", 2}, {"tickets", 2}},
		{{"noodles", 1}, {"tickets", 1}},
		{{"rain", 1}},
	}
	got, err := enginetest.Run(t, searches, len(want), func(in *engine.DStream[Search]) *engine.DStream[Count] {
		return top(in, 2, 2*time.Second, time.Second)
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range want {
		if len(got[i]) != len(w) || got[i][0] != w[0] || got[i][len(w)-1] != w[len(w)-1] {
			t.Errorf("batch %d: %v, want %v", i+1, got[i], w)
		}
	}
}

// On executor processes the window holds what was searched for, however late batches are.
func TestTopOnCluster(t *testing.T) {
	searches := searchesFor("rain snow rain", "snow tickets snow", "noodles tickets")
	got, err := enginetest.RunOnCluster(t, searches, len(searches), func(in *engine.DStream[Search]) *engine.DStream[Count] {
		return top(in, 2, time.Hour, enginetest.ClusterInterval)
	})
	if err != nil {
		t.Fatal(err)
	}
	if last := got.Batches[len(got.Batches)-1]; len(last) != 2 || last[0] != (Count{"snow", 3}) || last[1] != (Count{"rain", 2}) {
		t.Errorf("%v", last)
	}
}
