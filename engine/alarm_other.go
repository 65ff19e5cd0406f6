//go:build !linux

package engine

// newPreciseAlarm returns nil: there is none here.
func newPreciseAlarm() alarm { return nil }
