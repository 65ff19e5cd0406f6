package launch

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
)

// A build function that hangs is a trouble after a minute and then fails the job, with
// the place where it stands.
func TestBuildHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var effects []string
		var out bytes.Buffer
		j := testJob(newTestLog(), false, 1, &effects)
		j.Stdout, j.troubles = &out, new(plan.Troubles)
		j.Settings.BuildTimeout = 3 * time.Minute
		hangs := make(chan struct{})
		j.Build = func(context.Context, *plan.Program) error { <-hangs; return errors.New("too late") }
		done := make(chan error, 1)
		go func() { done <- j.RunProcess(t.Context(), t.Context(), &Local{Slots: 1}) }()

		time.Sleep(slowBuild - time.Second)
		synctest.Wait()
		if text, _ := j.troubles.Now(); text != "" {
			t.Errorf("within a minute: %q", text)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if text, _ := j.troubles.Now(); text != "the build function has run for 1m1s; the job fails after 3m0s" {
			t.Errorf("after a minute: %q", text)
		}
		select {
		case err := <-done:
			t.Fatalf("it ends at once: %v", err)
		default:
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		select {
		case err := <-done:
			if !errors.Is(err, errBuildHangs) || !strings.Contains(err.Error(), "3m0s") || !strings.Contains(out.String(), "TestBuildHangs") {
				t.Errorf("it ends with %v; the log says\n%s", err, &out)
			}
		default:
			t.Fatal("it goes on")
		}
		close(hangs)
	})
}

// A build function that is slow, and returns, is no trouble any more.
func TestBuildIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var effects []string
		j := testJob(newTestLog(), false, 2, &effects)
		j.troubles = new(plan.Troubles)
		build := j.Build
		j.Build = func(ctx context.Context, p *plan.Program) error {
			time.Sleep(j.Settings.BuildTimeout - time.Second)
			return build(ctx, p)
		}
		if err := j.RunProcess(t.Context(), t.Context(), &Local{Slots: 1}); err != nil {
			t.Fatal(err)
		}
		if text, _ := j.troubles.Now(); text != "" {
			t.Errorf("at its end: %q", text)
		}
	})
}
