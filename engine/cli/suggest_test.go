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
		"staet":      "state", // swapped letters are one slip
		"amster":     "master",
		"cnof":       "conf",
		"ocnf":       "conf",
		"fonc":       "", // these aren't next to each other
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

func TestDistance(t *testing.T) {
	for words, want := range map[[2]string]int{
		{"", ""}: 0, {"", "abc"}: 3, {"abc", ""}: 3, {"abc", "abc"}: 0, {"abc", "ABC"}: 0,
		{"ab", "ba"}: 1, {"abcd", "abdc"}: 1, {"abcd", "badc"}: 2, {"abc", "cab"}: 2,
		{"kitten", "sitting"}: 3, {"ca", "abc"}: 3, // nothing is changed twice
	} {
		if got := distance(words[0], words[1]); got != want {
			t.Errorf("from %q to %q: %d, want %d", words[0], words[1], got, want)
		}
		if got := distance(words[1], words[0]); got != want {
			t.Errorf("from %q to %q: %d, want %d", words[1], words[0], got, want)
		}
	}
}
