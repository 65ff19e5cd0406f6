package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
)

// A session ends two seconds after its last click, and a visitor may come again.
func TestSessions(t *testing.T) {
	clicks := [][]Click{
		{{"ann", "/"}, {"bob", "/news"}, {"ann", "/basket"}},
		{{"bob", "/help"}},
		{}, {},
		{{"ann", "/help"}},
	}
	want := [][]Summary{
		{}, {},
		{{"ann", Session{2, "/", "/basket"}}},
		{{"bob", Session{2, "/news", "/help"}}},
		{}, {},
		{{"ann", Session{1, "/help", "/help"}}},
	}
	enginetest.Operation(t, clicks, func(in *engine.DStream[Click]) *engine.DStream[Summary] {
		return sessions(in, 2*time.Second)
	}, want)
}

func TestSessionsOnCluster(t *testing.T) {
	clicks := [][]Click{{{"ann", "/"}, {"ann", "/basket"}}}
	got, err := enginetest.RunOnCluster(t, clicks, 40, func(in *engine.DStream[Click]) *engine.DStream[Summary] {
		return sessions(in, time.Second)
	})
	if err != nil {
		t.Fatal(err)
	}
	var ended []Summary
	for _, batch := range got.Batches {
		ended = append(ended, batch...)
	}
	if want := (Summary{"ann", Session{2, "/", "/basket"}}); len(ended) != 1 || ended[0] != want {
		t.Errorf("%v, want %v", ended, want)
	}
}

// What isn't possible is said before anything runs.
func TestBadFlags(t *testing.T) {
	good := options{idle: time.Second, visitors: 1}
	if err := good.check(); err != nil {
		t.Error(err)
	}
	for says, change := range map[string]func(*options){
		"--idle -1s is not above 0": func(o *options) { o.idle = -time.Second },
		"--visitors 0 is below 1":   func(o *options) { o.visitors = 0 },
	} {
		opt := good
		change(&opt)
		if err := opt.check(); !errors.Is(err, engine.ErrUsage) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %s", err, says)
		}
	}
}
