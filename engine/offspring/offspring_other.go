//go:build !linux

package offspring

// Adopt does nothing: this system has no such thing.
func Adopt() error { return nil }

// Kill does nothing: what has left the process group is let go.
func Kill(func(child int) bool) error { return nil }
