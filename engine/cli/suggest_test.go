package cli

import "testing"

// Who wrote a word wrong is told the one that is meant, unless it may be any.
func TestNearest(t *testing.T) {
	flags := []string{"batch-interval", "brokers", "checkpoint", "conf", "master", "n", "state", "state-job", "state-key"}
	for word, want := range map[string]string{
		"checkpont":  "checkpoint",
		"CHECKPOINT": "checkpoint",
		"broker":     "brokers",
		"check":      "checkpoint", // a beginning
		"conff":      "conf",
		"state-jobs": "state-job", // not "state", with which it begins, too
		"master-url": "master",
		"state-kei":  "state-key",
		"no":         "", // one letter is no beginning
		"images":     "",
		"":           "",
	} {
		if got := Nearest(word, flags); got != want {
			t.Errorf("%q is taken for %q, want %q", word, got, want)
		}
	}
	if got := Nearest("x", nil); got != "" {
		t.Errorf("of none it is %q", got)
	}
}
