package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Troubles are what is wrong with a job at this moment, in words, for those who ask how
// it is. They are there while they last. The zero value is a job's in which all is well;
// the methods of nil do nothing. They are safe for concurrent use.
type Troubles struct {
	mu  sync.Mutex
	all map[string]trouble // by what they are about
}

// trouble is one of them.
type trouble struct {
	text     string
	executor string // whose log says more, "" for the driver's
}

// maxTroubles bounds what is told at once: the first of them say enough.
const maxTroubles = 4

// Set says what is wrong with something; "" says that nothing is any more.
func (t *Troubles) Set(about, text string) { t.SetOn(about, "", text) }

// SetOn is Set with the executor whose log says more.
func (t *Troubles) SetOn(about, executor, text string) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if text == "" {
		delete(t.all, about)
		return
	}
	if t.all == nil {
		t.all = make(map[string]trouble)
	}
	t.all[about] = trouble{text, executor}
}

// After says what is wrong with something if it hasn't ended after a while: text is
// asked for then, and again as time goes by. What is said ends with stop.
func (t *Troubles) After(about string, wait time.Duration, text func(since time.Duration) string) (stop func()) {
	if t == nil {
		return func() {}
	}
	w := &watch{troubles: t, about: about, text: text, began: time.Now()}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(wait, w.say)
	return w.stop
}

// watch is something that may take too long.
type watch struct {
	troubles *Troubles
	about    string
	text     func(time.Duration) string
	began    time.Time

	mu    sync.Mutex
	timer *time.Timer
	said  bool
	over  bool
}

// sayAgain is how often what lasts is said anew.
const sayAgain = time.Second

// say says that it hasn't ended yet.
func (w *watch) say() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return
	}
	text := w.text(time.Since(w.began))
	if text != "" || w.said {
		w.troubles.Set(w.about, text)
	}
	w.said = text != ""
	w.timer.Reset(sayAgain)
}

// stop says that it has.
func (w *watch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	w.timer.Stop()
	if w.said {
		w.troubles.Set(w.about, "")
	}
}

// Now returns what is wrong, "" if nothing is, and the executor whose log says more of
// the first of it.
func (t *Troubles) Now() (text, executor string) {
	if t == nil {
		return "", ""
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var told []string
	for _, about := range slices.Sorted(maps.Keys(t.all)) {
		one := t.all[about]
		if len(told) == maxTroubles {
			told = append(told, fmt.Sprintf("and %d more", len(t.all)-maxTroubles))
			break
		}
		if len(told) == 0 {
			executor = one.executor
		}
		told = append(told, one.text)
	}
	return strings.Join(told, "; "), executor
}
