package remote

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
)

// A version is there when every executor has it, and one at least; who can't load
// it is named, and asked again when it is wanted again.
func TestAwaitHeld(t *testing.T) {
	s := newSecret()
	good, bad := ModelVersion{Name: "m", Digest: "good"}, ModelVersion{Name: "m", Digest: "bad"}
	var mended atomic.Bool
	load := func(v ModelVersion) string {
		if v == bad && !mended.Load() {
			return "layer fc1 holds a NaN"
		}
		return ""
	}
	x, y := start(t, "x", s, succeed(nil)), start(t, "y", s, succeed(nil))
	x.host.load, y.host.load = load, load
	d := drive(t, s, 1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	await := func(v ModelVersion, says string) {
		t.Helper()
		if err := d.AwaitHeld(ctx, v); (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("version %s: %v", v.Digest, err)
		}
	}

	d.Hold([]ModelVersion{good})
	enough := errors.New("enough")
	impatient, stop := context.WithCancelCause(t.Context())
	stop(enough)
	if err := d.AwaitHeld(impatient, good); !errors.Is(err, enough) {
		t.Errorf("without an executor: %v", err)
	}
	d.members(x) // it has to have the version before it takes tasks
	await(good, "")
	d.Hold([]ModelVersion{bad, good})
	await(bad, "executor "+Name(x.ExecutorProcess)+": layer fc1")
	d.Hold([]ModelVersion{good})
	mended.Store(true)
	d.members(x, y)
	d.Hold([]ModelVersion{bad, good})
	await(bad, "")
	await(good, "")
}
