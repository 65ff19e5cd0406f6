package launch

import (
	"testing"

	"github.com/hibana-engine/hibana/engine/internal/replay"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/scheduler"
)

func TestBars(t *testing.T) {
	site := lineage.Site{File: "main.go", Line: 8}
	s := replay.Summary{Steps: 3, Current: "collect at main.go:9"}
	for _, x := range []struct {
		width  int
		stages []scheduler.StageProgress
		want   string
	}{
		{80, nil, "step 3  collect at main.go:9"},
		{80, []scheduler.StageProgress{{Op: "map", Site: site, Tasks: 4, Done: 1, Running: 2}}, "step 3  map at main.go:8 [=====               ] (1 + 2) / 4"},
		{40, []scheduler.StageProgress{{Op: "map", Site: site, Tasks: 4, Done: 2}}, "step 3  map at main… [==   ] (2 + 0) / 4"},
	} {
		if got := barsOf(x.width, s, x.stages); got != x.want {
			t.Errorf("%q, want %q", got, x.want)
		}
	}
}
