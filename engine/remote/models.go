package remote

import (
	"context"
	"fmt"
	"slices"
)

// Hold says which versions of models executors are to have, in place of what was
// said before, those that come later too: they load them before they take tasks.
func (b *Backend) Hold(versions []ModelVersion) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hold = &Hold{Versions: versions}
	for _, l := range b.members {
		for v, failure := range l.models {
			if failure != "" || !slices.Contains(versions, v) {
				delete(l.models, v) // it is dropped, or tried again
			}
		}
		l.post(&ToExecutor{Hold: b.hold})
	}
}

// holding returns what an executor that comes now is to have.
func (b *Backend) holding() *Hold {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.hold
}

// AwaitHeld waits until every executor that takes tasks has a version, one of
// those that Hold named last, and there is one at least: nobody else can say that
// a version is good. An error says which can't load it, and why.
func (b *Backend) AwaitHeld(ctx context.Context, v ModelVersion) error {
	for {
		b.mu.Lock()
		have, missing := 0, 0
		var err error
		for _, l := range b.members {
			failure, answered := l.models[v]
			switch {
			case !l.isReady():
			case !answered:
				missing++
			case failure != "":
				err = fmt.Errorf("executor %s: %s", l.name, failure)
			default:
				have++
			}
		}
		changed := b.changed
		b.mu.Unlock()
		if err != nil || missing == 0 && have > 0 {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// held takes an executor's answer.
func (b *Backend) held(l *link, h Held) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.hold != nil && slices.Contains(b.hold.Versions, h.Version) {
		l.models[h.Version] = h.Failure
	}
	b.note()
}
