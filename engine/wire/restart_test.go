package wire

import (
	"errors"
	"testing"
)

func TestRestart(t *testing.T) {
	for _, x := range []struct {
		text   string
		want   Restart
		allows int // how often in a row, -1 for ever
	}{{"never", 0, 0}, {"on-failure", -1, -1}, {"on-failure:1", 1, 1}, {"on-failure:1000", 1000, 1000}} {
		r, err := ParseRestart(x.text)
		if err != nil || r != x.want || r.String() != x.text || r.Check() != nil {
			t.Errorf("%s: %d %q, %v, %v", x.text, r, r, err, r.Check())
		}
		for before, want := range map[int]bool{x.allows - 1: x.allows != 0, x.allows: x.allows < 0, x.allows + 1: x.allows < 0} {
			if before >= 0 && r.Allows(before) != want {
				t.Errorf("%s allows another after %d: %t", x.text, before, !want)
			}
		}
	}
	for _, text := range []string{"", "always", "on-failure:", "on-failure:0", "on-failure:-1", "on-failure:1001", "on-failure:x", "never:1"} {
		if _, err := ParseRestart(text); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := Restart(5000).Check(); !errors.Is(err, ErrInvalid) {
		t.Errorf("5000: %v", err)
	}
}
