package control

import (
	"fmt"
	"sync"

	"github.com/hibana-engine/hibana/engine/wire"
)

// maxRequests bounds the requests that wait for the process to take them.
const maxRequests = 16

// publications are the versions of models that a job's driver process is asked to
// bring in, and who waits for its answers.
type publications struct {
	job      uint64
	requests chan *wire.PublishModel // to be sent to the process

	mu      sync.Mutex
	answers map[uint64]chan<- *wire.PublishedModel // that are waited for, by request
	asked   uint64                                 // the last request's id
}

func newPublications(job uint64) *publications {
	return &publications{
		job: job, requests: make(chan *wire.PublishModel, maxRequests), answers: make(map[uint64]chan<- *wire.PublishedModel),
	}
}

// request asks the process to bring in a version. The answer comes on a channel,
// until forget is called.
func (p *publications) request(q *wire.PublishModel) (answer <-chan *wire.PublishedModel, forget func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	q.ID = p.asked
	select {
	case p.requests <- q:
	default:
		return nil, nil, fmt.Errorf("%w: %d versions wait to be published in job %d; try again",
			wire.ErrNotReady, maxRequests, p.job)
	}
	c := make(chan *wire.PublishedModel, 1) // the one answer has room
	p.answers[q.ID] = c
	return c, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.answers, q.ID)
	}, nil
}

// answer passes on what the process answers. Nobody may wait for it any more.
func (p *publications) answer(a *wire.PublishedModel) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.answers[a.ID]; c != nil {
		delete(p.answers, a.ID)
		c <- a
	}
}
