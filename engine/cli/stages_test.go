package cli

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestStageBars(t *testing.T) {
	stages := []Stage{{"map at main.go:12", 8, 4, 2}, {"reduceByKey at main.go:14", 2, 0, 0}}
	for _, x := range []struct {
		width  int
		stages []Stage
		want   string
	}{
		{0, nil, ""},
		{0, stages[:1], "map at main.go:12 [==========          ] (4 + 2) / 8"},
		{200, stages[:1], "map at main.go:12 [==========          ] (4 + 2) / 8"},
		{44, stages[:1], "map at main.go:12 [======      ] (4 + 2) / 8"},
		{28, stages[:1], "map at … [==   ] (4 + 2) / 8"},
		{78, stages, "map at main.go:12 [===   ] (4 + 2) / 8  reduceByKey at ma… [     ] (0 + 0) / 2"},
	} {
		got := StageBars(x.width, x.stages)
		if got != x.want {
			t.Errorf("width %d: %q, want %q", x.width, got, x.want)
		}
		if n := utf8.RuneCountInString(got); x.width > 0 && n > x.width {
			t.Errorf("width %d: %d characters", x.width, n)
		}
	}
	if got := StageBars(1, stages); strings.Count(got, "[") != 2 {
		t.Errorf("where nothing fits: %q", got)
	}
}
