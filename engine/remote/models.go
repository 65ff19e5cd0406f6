package remote

import (
	"context"
	"fmt"
)

// Hold says which versions of models executors are to have, in place of what was
// said before, those that come later too: they load them before they take tasks.
func (b *Backend) Hold(versions []ModelVersion) { b.briefing.hold(&Hold{Versions: versions}) }

// AwaitHeld waits until every executor that takes tasks has a version, one of
// those that Hold named last, and there is one at least: nobody else can say that
// a version is good. An error says which can't load it, and why.
func (b *Backend) AwaitHeld(ctx context.Context, v ModelVersion) error {
	for {
		changed := b.attendance.changed.next()
		have, missing, err := b.holders(v)
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

// holders counts the executors that take tasks by whether they have a version.
func (b *Backend) holders(v ModelVersion) (have, missing int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.members {
		if !l.ready.Load() {
			continue
		}
		failure, answered := l.holdings.of(v)
		switch {
		case !answered:
			missing++
		case failure != "":
			err = fmt.Errorf("executor %s: %s", l.name, failure)
		default:
			have++
		}
	}
	return have, missing, err
}
