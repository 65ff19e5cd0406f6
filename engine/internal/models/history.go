package models

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/modelstore"
)

// succeed returns the history after a version has become current.
func succeed(h modelstore.History, digest string, seq uint64, retained int) modelstore.History {
	if digest != h.Current {
		h.Earlier = newest(append(without(h.Earlier, digest), h.Current), retained)
		h.Left = without(h.Left, digest)
	}
	h.Current, h.Seq = digest, seq
	return h
}

// goBack returns the history after a rollback to a version. What was current
// since is left: going back once more goes on from there, further back.
func goBack(h modelstore.History, digest string, retained int) modelstore.History {
	i := slices.Index(h.Earlier, digest)
	if i < 0 && digest != h.Current && slices.Contains(h.Left, digest) {
		return succeed(h, digest, 0, retained) // forward again
	}
	if digest != h.Current {
		since := h.Earlier[i+1:] // all, for the program's own version, which is older than what is kept
		h.Left = newest(append(append(without(h.Left, digest), h.Current), reversed(since)...), retained)
		h.Earlier = slices.Clone(h.Earlier[:max(i, 0)])
	}
	h.Current, h.Seq = digest, 0
	return h
}

// without returns a copy of a list of versions that lacks one.
func without(list []string, digest string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(d string) bool { return d == digest })
}

func reversed(list []string) []string {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}

// newest returns the last of a list of versions, at most retained of them.
func newest(list []string, retained int) []string { return list[max(0, len(list)-retained):] }

// earlierVersion finds the version to go back to.
func earlierVersion(h modelstore.History, carried, version string) (string, error) {
	earlier := h.Earlier
	if version == "" {
		if len(earlier) == 0 {
			return "", fmt.Errorf("%w: there is none before the current one", plan.ErrNoVersion)
		}
		return earlier[len(earlier)-1], nil
	}
	found := make(map[string]bool)
	kept := slices.Concat(earlier, h.Left)
	for _, d := range append(slices.Clone(kept), carried) {
		if strings.HasPrefix(d, version) {
			found[d] = true
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("%w: %.12s isn't among those that are kept, %.12s and the program's own %.12s; publish its file instead", plan.ErrNoVersion, version, kept, carried)
	case 1:
		return slices.Collect(maps.Keys(found))[0], nil
	}
	return "", fmt.Errorf("%w: %s is the beginning of %d of them, give more of its digits", plan.ErrNoVersion, version, len(found))
}
