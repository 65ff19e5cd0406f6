package kafka

import (
	"errors"
	"log/slog"
	"sync"
	"time"
)

// quiet is for how long nothing may be acknowledged before the log says so.
const quiet = 5 * time.Second

// waits are the topics that tasks wait for a producer's acknowledgements of.
type waits struct {
	mu     sync.Mutex
	topics map[string]*wait // of all sinks of the process
}

// wait says in the log when records of a topic wait and none was acknowledged for a while.
// All tasks share one timer, which runs on when they have ended: a batch costs it a lock.
//
// THREADING: tasks call begin and end, the timer look; mu guards the fields below it.
type wait struct {
	out   *producer
	log   *slog.Logger
	topic string

	mu    sync.Mutex
	tasks int       // that wait
	since time.Time // when the first of them came, or when something was acknowledged
	seen  int64     // how many records were acknowledged by then
	timer *time.Timer
	armed bool // the timer runs
}

// watch says in the log when records wait and none was acknowledged for a while,
// until the returned function is called.
func (p *producer) watch(log *slog.Logger, topic string) (stop func()) {
	w := p.waits.of(p, log, topic)
	w.begin()
	return w.end
}

func (ws *waits) of(p *producer, log *slog.Logger, topic string) *wait {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w := ws.topics[topic]
	if w == nil {
		if ws.topics == nil {
			ws.topics = make(map[string]*wait)
		}
		w = &wait{out: p, log: log, topic: topic}
		ws.topics[topic] = w
	}
	return w
}

// close stops the timers, when the process's tasks have ended.
func (ws *waits) close() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, w := range ws.topics {
		w.mu.Lock()
		if w.armed {
			w.timer.Stop()
		}
		w.mu.Unlock()
	}
}

// begin is called by a task that begins to wait.
func (w *wait) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.tasks++; w.tasks > 1 {
		return
	}
	w.since, w.seen = time.Now(), w.out.acked.Load()
	switch {
	case w.armed: // it finds out that this wait is younger
	case w.timer == nil:
		w.armed, w.timer = true, time.AfterFunc(quiet, w.look)
	default:
		w.armed = true
		w.timer.Reset(quiet)
	}
}

// end is called by a task that has what it waited for, or gives it up.
func (w *wait) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tasks--
}

// errSilent: no connection failed, and yet nothing comes.
var errSilent = errors.New("none: the brokers are connected and have not answered yet")

// look looks whether something was acknowledged, as long as tasks wait.
func (w *wait) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.armed = w.tasks > 0; !w.armed {
		return
	}
	acked, records := w.out.acked.Load(), w.out.BufferedProduceRecords()
	if acked != w.seen || records == 0 {
		w.since, w.seen = time.Now(), acked
	}
	next := quiet - time.Since(w.since)
	if next <= 0 {
		why := errSilent
		if last := w.out.trouble.Load(); last != nil && !last.at.Before(w.since) {
			why = last.err
		}
		w.log.Warn("kafka: waiting for acknowledgements, nothing is skipped", "topic", w.topic, "records", records, "since", w.since, "error", why)
		next = quiet
	}
	w.timer.Reset(next)
}
