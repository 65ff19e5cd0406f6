package scheduler_test

import (
	"testing"
	"testing/synctest"

	"github.com/hibana-engine/hibana/scheduler"
)

func TestProgress(t *testing.T) {
	scheduled(t, scheduler.Options{}, func(t *testing.T, d *scheduler.DAGScheduler, b *byHand) {
		if p := d.Progress(); len(p) != 0 {
			t.Errorf("nothing runs: %+v", p)
		}
		s := submit(t.Context(), d, wordCount(9, 1))
		first, second := b.next(t), b.next(t)
		b.end(first, oneBlock)
		synctest.Wait()
		p := d.Progress()
		if len(p) != 1 || p[0].Batch != 9 || p[0].Output != 1 || p[0].Stage != 0 || p[0].Tasks != 2 || p[0].Done != 1 || p[0].Running != 1 || p[0].Op == "" || p[0].Site.Line == 0 {
			t.Errorf("one of two map tasks is done: %+v", p)
		}
		b.end(second, oneBlock)
		l := b.next(t)
		if p := d.Progress(); len(p) != 1 || p[0].Stage != scheduler.ResultStage(1) || p[0].Done != 0 || p[0].Running != 1 {
			t.Errorf("the result is computed: %+v", p)
		}
		b.end(l, scheduler.Success{})
		<-s.ended
		if p := d.Progress(); len(p) != 0 {
			t.Errorf("all is done: %+v", p)
		}
		d.Close()
		if p := d.Progress(); p != nil {
			t.Errorf("it is closed: %+v", p)
		}
	})
}
