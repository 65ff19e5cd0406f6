package remote

import (
	"fmt"

	"github.com/hibana-engine/hibana/engine/wire"
	"github.com/hibana-engine/hibana/scheduler"
)

// maxText bounds a message or a stack in an outcome, in bytes.
const maxText = 64 << 10

// ended returns the messages that tell the driver how a task ended. A result
// that is too large for one message goes in parts.
func ended(id scheduler.TaskID, outcome scheduler.Outcome) []*FromExecutor {
	e := &TaskEnded{ID: id}
	var messages []*FromExecutor
	switch o := outcome.(type) {
	case scheduler.Success:
		for len(o.Result) > wire.MaxPayload {
			messages = append(messages, &FromExecutor{Part: &ResultPart{ID: id, Data: o.Result[:wire.MaxPayload]}})
			o.Result = o.Result[wire.MaxPayload:]
		}
		e.Success = &o
	case scheduler.ExceptionFailure:
		o.Message, o.Stack = clip(o.Message), clip(o.Stack)
		e.Exception = &o
	case scheduler.FetchFailed:
		o.Message = clip(o.Message)
		e.Fetch = &o
	case scheduler.BlockMissing:
		o.Message = clip(o.Message)
		e.Missing = &o
	case scheduler.TaskKilled:
		o.Message = clip(o.Message)
		e.Killed = &o
	case scheduler.Denied:
		o.Message = clip(o.Message)
		e.Denied = &o
	default:
		e.Exception = &scheduler.ExceptionFailure{Message: fmt.Sprintf("the task ended with an outcome that an executor can't report: %T", outcome)}
	}
	return append(messages, &FromExecutor{Ended: e})
}

func clip(s string) string {
	if len(s) > maxText {
		return s[:maxText] + " … (cut)"
	}
	return s
}

// results puts results that came in parts together again.
type results struct {
	limit int64 // bytes of one task
	parts map[scheduler.TaskID][]byte
}

// add keeps a part. Of a result over the limit one byte more than the limit is
// kept, so that outcome sees it.
func (r *results) add(p *ResultPart) {
	if r.parts == nil {
		r.parts = make(map[scheduler.TaskID][]byte)
	}
	have := r.parts[p.ID]
	if room := r.limit + 1 - int64(len(have)); int64(len(p.Data)) > room {
		p.Data = p.Data[:max(0, room)]
	}
	r.parts[p.ID] = append(have, p.Data...)
}

// outcome returns how a task ended, nil if the executor didn't say.
func (r *results) outcome(e *TaskEnded) scheduler.Outcome {
	parts := r.parts[e.ID]
	delete(r.parts, e.ID)
	switch {
	case e.Success != nil:
		s := *e.Success
		if parts != nil {
			s.Result = append(parts, s.Result...)
		}
		if n := int64(len(s.Result)); n > r.limit {
			return scheduler.ExceptionFailure{Message: fmt.Sprintf("the task's result is larger than the limit of %d bytes", r.limit)}
		}
		return s
	case e.Exception != nil:
		return *e.Exception
	case e.Fetch != nil:
		return *e.Fetch
	case e.Missing != nil:
		return *e.Missing
	case e.Killed != nil:
		return *e.Killed
	case e.Denied != nil:
		return *e.Denied
	}
	return nil
}
