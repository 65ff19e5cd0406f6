package wire

import (
	"errors"
	"strings"
	"testing"
)

func TestCheckSubmission(t *testing.T) {
	for id, ok := range map[string]bool{
		"nightly-1": true, "a": true, "1a": true, "2026-11-23": true, "A_b.c": true, strings.Repeat("x", 64): true,
		"": false, "1": false, "007": false, "-a": false, "_a": false, ".": false, "a b": false, "a:b": false, "a/b": false,
		"a\x00b": false, "ä": false, "aäb": false, "a\n": false, strings.Repeat("x", 65): false,
	} {
		if err := CheckSubmission(id); ok != (err == nil) || !ok && !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", id, err)
		}
	}
}
